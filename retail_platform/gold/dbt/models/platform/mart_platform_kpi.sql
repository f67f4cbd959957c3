{{ config(unique_key='kpi_key', scope='scope_touched_platform_days') }}
{#-
  A table is expected in every hour from its first one to the newest of any table; in that one only
  where its load has ended, because the copy of the ledger was made while the hour was loaded. The last attempt at an hour
  counts, but freshness is that of the first one that succeeded: a repair makes no hour late.
-#}
with loads as (
  select asset, layer, hour, attempt, status, read, applied, quarantined, seconds, finished_at, _hour
  from {{ source('platform', 'platform__loads') }}
  where {{ layer_of_hours() }}
  {% if is_hourly() %}
    and cast(hour as date) >= ({{ first_touched_platform_day() }})
  {% endif %}
),

tables as (
  select asset, layer, min(hour) as first_hour
  from {{ source('platform', 'platform__loads') }}
  where {{ layer_of_hours() }}
  group by asset, layer
),

{# Hours in which nothing was loaded at all are hours, too. #}
hours as (
  select explode(sequence(first_hour, last_hour, interval 1 hour)) as hour
  from (
    select
      greatest(date_trunc('day', min(loads.hour)), (select min(first_hour) from tables)) as first_hour,
      max(loads.hour) as last_hour
    from loads
  )
  where last_hour is not null
),

attempts as (
  select
    asset, layer, hour,
    max(_hour) as _hour,
    count(*) as attempt_count,
    sum(case when status = 'SUCCESS' then 1 else 0 end) as successes,
    sum(case when status = 'RUNNING' then 1 else 0 end) as running,
    sum(coalesce(seconds, cast(0 as double))) as seconds,
    min(case when status = 'SUCCESS' then finished_at end) as fresh_at,
    max(attempt) as last_attempt
  from loads
  group by asset, layer, hour
),

newest as (
  select max(hour) as hour from {{ source('platform', 'platform__loads') }} where {{ layer_of_hours() }}
),

outcomes as (
  select
    tables.layer, hours.hour, tables.first_hour = hours.hour as is_first,
    counted.attempt_count, counted.successes, counted.running, counted.seconds, counted._hour,
    last.status, last.read, last.applied, last.quarantined,
    cast((unix_micros(counted.fresh_at) - unix_micros(timestampadd(hour, 1, hours.hour))) as double) / 60000000 as lag_minutes
  from hours
  inner join tables on tables.first_hour <= hours.hour
  left join attempts as counted on counted.asset = tables.asset and counted.hour = hours.hour
  left join loads as last
    on last.asset = tables.asset and last.hour = hours.hour and last.attempt = counted.last_attempt
  cross join newest
  where hours.hour < newest.hour or counted.attempt_count > counted.running
),

periods as (
  select 'hour' as grain, hour as period_start, * from outcomes
  union all
  select 'day' as grain, date_trunc('day', hour) as period_start, * from outcomes
),

totals as (
  select
    grain, period_start, layer,
    count(*) as expected_count,
    sum(case when status = 'SUCCESS' then 1 else 0 end) as loaded_count,
    sum(case when status = 'FAILURE' then 1 else 0 end) as failed_count,
    sum(case when status = 'BLOCKED' then 1 else 0 end) as blocked_count,
    cast(sum(coalesce(attempt_count - running, cast(0 as bigint))) as bigint) as ended_attempt_count,
    cast(sum(coalesce(successes, cast(0 as bigint))) as bigint) as succeeded_attempt_count,
    sum(case when is_first then 1 else 0 end) as onboarded_table_count,
    cast(sum(coalesce(read, cast(0 as bigint))) as bigint) as read_rows,
    cast(sum(coalesce(applied, cast(0 as bigint))) as bigint) as applied_rows,
    cast(sum(coalesce(quarantined, cast(0 as bigint))) as bigint) as quarantined_rows,
    sum(coalesce(seconds, cast(0 as double))) as seconds,
    avg(lag_minutes) as mean_lag,
    max(lag_minutes) as greatest_lag,
    max(_hour) as _hour
  from periods
  group by grain, period_start, layer
)

select
  {{ surrogate_key('mart', ['grain', 'unix_micros(period_start)', 'layer']) }} as kpi_key,
  grain,
  period_start,
  layer,
  expected_count,
  loaded_count,
  failed_count,
  blocked_count,
  round(cast(loaded_count as double) / expected_count, 6) as completeness,
  ended_attempt_count,
  succeeded_attempt_count,
  case when ended_attempt_count > 0
    then round(cast(succeeded_attempt_count as double) / ended_attempt_count, 6) end as success_rate,
  onboarded_table_count,
  read_rows,
  applied_rows,
  quarantined_rows,
  case when read_rows > 0 then round(cast(quarantined_rows as double) / read_rows, 6) end as quarantine_rate,
  round(seconds, 3) as load_seconds,
  round(mean_lag, 4) as mean_lag_minutes,
  round(greatest_lag, 4) as max_lag_minutes,
  {{ changed_hour('_hour') }} as _hour
from totals
