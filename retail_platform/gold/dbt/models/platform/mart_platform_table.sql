{{ config(unique_key='asset', scope='scope_everything') }}
{#- Told anew each hour from the whole ledger: one row a table, of which only changes are written. -#}
with loads as (
  select
    asset, layer, hour, status, read, quarantined, finished_at, _hour,
    row_number() over (partition by asset, hour order by attempt desc) as recency,
    row_number() over (partition by asset order by hour desc, attempt desc) as newest
  from {{ source('platform', 'platform__loads') }}
  where {{ layer_of_hours() }}
)

select
  asset,
  layer,
  min(hour) as onboarded_hour,
  max(hour) as last_hour,
  max(case when newest = 1 then status end) as last_status,
  max(case when status = 'SUCCESS' then hour end) as last_loaded_hour,
  max(case when status = 'SUCCESS' then finished_at end) as last_loaded_at,
  count(*) as hour_count,
  sum(case when status = 'SUCCESS' then 1 else 0 end) as loaded_hour_count,
  cast(sum(read) as bigint) as read_rows,
  cast(sum(quarantined) as bigint) as quarantined_rows,
  {{ changed_hour('max(_hour)') }} as _hour
from loads
where recency = 1
group by asset, layer
