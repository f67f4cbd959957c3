{{ config(unique_key='session_key', scope='scope_touched_sessions', partition_by='started_month') }}
{#-
  A visit ends when its visitor does nothing for var('session_gap_minutes') minutes. Events that
  arrive late may join two visits; so an hour's build tells the neighbourhood of its events anew.
  Events are taken to be immutable: one that comes again under its id with another moment or visitor
  counts in its new visit at once, and in the visit that it left until that is told anew.
-#}
{%- if is_hourly() -%}
  {%- set event_days = touched_event_days() -%}
  {%- set visit_days = touched_visit_days(this, event_days) -%}
{%- endif %}
with events as (
  select event.*, {{ visitor_id('event') }} as visitor_id
  from {{ source('silver', 'web_events') }} as event
  {% if is_hourly() %}
  left semi join ({{ touched_visits(this, event_days) }}) as visit
    on visit.visitor_id = {{ visitor_id('event') }}
    and event.occurred_at >= visit.from_at and event.occurred_at <= visit.to_at
  {% endif %}
  where not coalesce(event._deleted, false)
  {% if is_hourly() %} and {{ in_spans('event.occurred_at', visit_days) }} {% endif %}
),

spaced as (
  select
    events.*,
    lag(occurred_at) over (partition by visitor_id order by occurred_at, event_id) as previous_at
  from events
),

numbered as (
  select
    spaced.*,
    sum(case when {{ within_a_visit('previous_at', 'occurred_at') }} then 0 else 1 end) over (
      partition by visitor_id order by occurred_at, event_id
      rows between unbounded preceding and current row
    ) as visit_number
  from spaced
),

ranked as (
  select
    numbered.*,
    row_number() over (
      partition by visitor_id, visit_number order by occurred_at, event_id
    ) as place,
    row_number() over (
      partition by visitor_id, visit_number order by occurred_at desc, event_id desc
    ) as place_from_end,
    row_number() over (
      partition by visitor_id, visit_number
      order by
        case when coalesce(gclid, fbclid, utm_id, utm_campaign, utm_source, utm_medium) is null then 1 else 0 end,
        occurred_at, event_id
    ) as touch,
    row_number() over (
      partition by visitor_id, visit_number
      order by case when customer_id is null then 1 else 0 end, occurred_at desc, event_id desc
    ) as sign_in
  from numbered
),

visits as (
  select
    visitor_id,
    min(occurred_at) as started_at,
    max(occurred_at) as ended_at,
    max(case when sign_in = 1 then customer_id end) as customer_id,
    max(case when place = 1 then device end) as device,
    max(case when place = 1 then page end) as landing_page,
    max(case when place_from_end = 1 then page end) as exit_page,
    count(*) as event_count,
    sum(case when event_name = 'page_view' then 1 else 0 end) as page_view_count,
    count(distinct case when event_name = 'view_item' then product_id end) as viewed_product_count,
    sum(case when event_name = 'add_to_cart' then 1 else 0 end) as cart_addition_count,
    count(distinct case when event_name = 'purchase' then order_number end) as order_count,
    max(case when touch = 1 then utm_source end) as utm_source,
    max(case when touch = 1 then utm_medium end) as utm_medium,
    max(case when touch = 1 then utm_campaign end) as utm_campaign,
    max(case when touch = 1 then utm_id end) as utm_id,
    max(case when touch = 1 then gclid end) as gclid,
    max(case when touch = 1 then fbclid end) as fbclid,
    max(_hour) as _hour
  from ranked
  group by visitor_id, visit_number
),

led as (
  select
    visits.*,
    case
      when gclid is not null then 'google'
      when fbclid is not null then 'facebook'
      when lower(utm_source) in ('google', 'facebook') then lower(utm_source)
    end as platform
  from visits
)

select
  {{ surrogate_key('web', ['visitor_id', 'unix_micros(started_at)']) }} as session_key,
  visitor_id,
  {{ member_key('sales', 'customer_id') }} as customer_key,
  customer_id,
  started_at,
  ended_at,
  date_trunc('hour', started_at) as started_hour,
  cast(started_at as date) as started_date,
  date_format(started_at, 'yyyy-MM') as started_month,
  cast((unix_micros(ended_at) - unix_micros(started_at)) / 1000000 as bigint) as duration_seconds,
  device,
  landing_page,
  exit_page,
  event_count,
  page_view_count,
  viewed_product_count,
  cart_addition_count,
  order_count,
  order_count > 0 as is_converted,
  platform,
  case when platform is not null and utm_id is not null
    then {{ surrogate_key('ads', ['platform', 'utm_id']) }} end as campaign_key,
  utm_source,
  utm_medium,
  utm_campaign,
  utm_id,
  coalesce(gclid, fbclid) as click_id,
  {{ changed_hour('_hour') }} as _hour
from led
