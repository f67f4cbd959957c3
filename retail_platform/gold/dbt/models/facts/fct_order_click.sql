{{ config(unique_key='order_key') }}
{#-
  The last click on an ad before each order of the shop: that of the newest visit with one, by the
  buyer or on the device that bought, begun in the var('attribution_days') days up to the order.
  Every order has a row, with or without a click: so an order whose click is gone is not forgotten.
-#}
with purchases as (
  select distinct event.order_number, {{ visitor_id('event') }} as visitor_id
  from {{ source('silver', 'web_events') }} as event
  where event.order_number is not null and not coalesce(event._deleted, false)
),

{% if is_hourly() %}
touched_visits as (
  select distinct session.visitor_id, session.customer_id
  from ({{ touched_visitors() }}) as touched
  inner join {{ ref('fct_web_session') }} as session on session.visitor_id = touched.visitor_id
),

{# By what changed: the order, a visit of the buyer or device, or the click that it had. #}
touched as (
  select order_number from {{ source('silver', 'orders') }} where {{ in_hours('_hour') }}
  union
  select purchases.order_number from purchases
  left semi join ({{ touched_visitors() }}) as visitor on visitor.visitor_id = purchases.visitor_id
  union
  select known.order_number from {{ source('silver', 'orders') }} as known
  left semi join touched_visits on touched_visits.customer_id = known.customer_id
  union
  select known.order_number from {{ this }} as known
  left semi join ({{ touched_visitors() }}) as visitor on visitor.visitor_id = known.visitor_id
),

{% endif %}
orders as (
  select placed.order_number, placed.customer_id, placed.ordered_at, placed._hour
  from {{ source('silver', 'orders') }} as placed
  {% if is_hourly() %}
  left semi join touched on touched.order_number = placed.order_number
  {% endif %}
  where placed.channel = 'online' and not coalesce(placed._inferred, false)
),

clicks as (
  select * from {{ ref('fct_web_session') }} where platform is not null
),

led_to as (
  select placed.order_number, click.session_key, click.visitor_id, click.started_at, click.platform, click.campaign_key, click.click_id, click._hour
  from orders as placed
  inner join clicks as click on click.customer_id = placed.customer_id
  where {{ is_click_before('click.started_at', 'placed.ordered_at') }}
  union
  select placed.order_number, click.session_key, click.visitor_id, click.started_at, click.platform, click.campaign_key, click.click_id, click._hour
  from orders as placed
  inner join purchases on purchases.order_number = placed.order_number
  inner join clicks as click on click.visitor_id = purchases.visitor_id
  where {{ is_click_before('click.started_at', 'placed.ordered_at') }}
),

last_clicks as (
  select
    led_to.*,
    row_number() over (partition by order_number order by started_at desc, session_key) as recency
  from led_to
)

select
  {{ surrogate_key('sales', ['placed.order_number']) }} as order_key,
  placed.order_number,
  {{ member_key('sales', 'placed.customer_id') }} as customer_key,
  placed.ordered_at,
  cast(placed.ordered_at as date) as ordered_date,
  click.session_key,
  click.visitor_id,
  click.started_at as clicked_at,
  cast((unix_micros(placed.ordered_at) - unix_micros(click.started_at)) / 60000000 as bigint) as minutes_to_order,
  click.platform,
  click.campaign_key,
  click.click_id,
  {{ changed_hour('greatest(placed._hour, coalesce(click._hour, placed._hour))') }} as _hour
from orders as placed
left join last_clicks as click on click.order_number = placed.order_number and click.recency = 1
