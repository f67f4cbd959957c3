{{ config(unique_key='hour_key') }}
{#-
  Every UTC hour in UTC, in London (the tills) and in every time zone in which there is a store. An hour that clocks go through twice
  has two rows with one local hour, the second marked; an hour that clocks skip has none.
-#}
{%- set reach = calendar_reach('hour_start') -%}
{%- set span = calendar_span(reach, var('hour_calendar_start'), 0, backward=true) -%}
{%- if calendar_is_complete(reach, span) and not zones_are_missing() %}
select * from {{ this }} where false
{%- else %}
with hours as (
  select explode(sequence(
    timestamp'{{ span[0] }} 00:00:00+00:00',
    timestamp'{{ span[1] }} 23:00:00+00:00',
    interval 1 hour
  )) as hour_start
),

zones as (
  select time_zone from {{ ref('dim_store') }}
  union
  select explode(array('UTC', 'Europe/London')) as time_zone
),

local_hours as (
  select
    zones.time_zone,
    hours.hour_start,
    from_utc_timestamp(hours.hour_start, zones.time_zone) as local_start,
    from_utc_timestamp(timestampadd(hour, -1, hours.hour_start), zones.time_zone) as local_before
  from hours cross join zones
)

select
  concat(time_zone, '|', date_format(hour_start, 'yyyy-MM-dd HH')) as hour_key,
  hour_start,
  time_zone,
  cast(hour_start as date) as utc_date,
  hour(hour_start) as utc_hour,
  cast(local_start as date) as local_date,
  hour(local_start) as local_hour,
  minute(local_start) as local_minute,
  cast((unix_micros(local_start) - unix_micros(hour_start)) / 60000000 as int) as utc_offset_minutes,
  local_start = local_before as is_repeated
from local_hours
{%- endif %}
