{{ config(unique_key='order_key', partition_by='ordered_month', sought_by=['order_number']) }}
{#-
  The last click on an ad before each order of the shop: that of the newest visit with one, by the
  buyer or on the device that bought, begun in the var('attribution_days') days up to the order. A
  device bought an order if it told so within var('purchase_days') days of it. Every order has a row,
  with or without a click: so an order whose click is gone is not forgotten.

  An hour tells anew the orders that it changed, and those of the days that its visits can lead to or
  its events can tell of.
-#}
{%- set told_days = var('purchase_days') -%}
{%- set click_days = var('attribution_days') -%}
{%- if is_hourly() -%}
  {%- set visit_days = touched_visit_days(ref('fct_web_session'), touched_event_days()) -%}
  {%- set led_days = widened_spans(visit_days, told_days, [told_days, click_days] | max) -%}
  {%- set changed_days = days_of('cast(ordered_at as date)', source('silver', 'orders') ~ ' where ' ~ in_hours('_hour')) -%}
  {%- set order_days = united_spans(led_days + changed_days) -%}
{%- endif %}
with orders as (
  select order_number, customer_id, ordered_at, _hour
  from {{ source('silver', 'orders') }}
  where channel = 'online' and not coalesce(_inferred, false)
  {% if is_hourly() %} and ({{ in_hours('_hour') }} or {{ in_spans('ordered_at', led_days) }}) {% endif %}
),

purchases as (
  select distinct placed.order_number, {{ visitor_id('event') }} as visitor_id
  from orders as placed
  inner join {{ source('silver', 'web_events') }} as event on event.order_number = placed.order_number
  where not coalesce(event._deleted, false)
    and event.occurred_at >= timestampadd(day, -{{ told_days }}, placed.ordered_at)
    and event.occurred_at <= timestampadd(day, {{ told_days }}, placed.ordered_at)
  {% if is_hourly() %} and {{ in_spans('event.occurred_at', widened_spans(order_days, told_days, told_days)) }} {% endif %}
),

clicks as (
  select session_key, visitor_id, customer_id, started_at, platform, campaign_key, click_id, _hour
  from {{ ref('fct_web_session') }}
  where platform is not null
  {% if is_hourly() %} and {{ in_spans('started_at', widened_spans(order_days, click_days, 0)) }} {% endif %}
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
  date_format(placed.ordered_at, 'yyyy-MM') as ordered_month,
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
