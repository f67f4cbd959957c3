{{ config(unique_key='store_key') }}
select
  {{ surrogate_key('sales', ['store.store_id']) }} as store_key,
  store.store_id,
  store.name,
  store.business_type,
  store.specialty,
  store.sales_person_id,
  store.year_opened,
  store.square_feet,
  store.employees,
  store.city,
  store.state_province,
  store.country_code,
  store.territory_id,
  territory.name as territory,
  coalesce(territory.name, 'Unknown') as region,
  {{ time_zone_of('store.country_code', 'store.state_province') }} as time_zone,
  territory.territory_group,
  store.modified_at,
  coalesce(store._inferred, false) as is_inferred,
  coalesce(store._deleted, false) as is_deleted,
  {{ changed_hour('greatest(store._hour, territory._hour)') }} as _hour
from {{ source('silver', 'stores') }} as store
left join {{ source('silver', 'territories') }} as territory
  on territory.territory_id = store.territory_id
{% if is_hourly() %}
where {{ in_hours('store._hour') }} or {{ in_hours('territory._hour') }}
{% else %}
union all
select
  {{ unknown_key() }} as store_key,
  cast(null as bigint) as store_id,
  'Unknown' as name,
  cast(null as string) as business_type,
  cast(null as string) as specialty,
  cast(null as bigint) as sales_person_id,
  cast(null as int) as year_opened,
  cast(null as int) as square_feet,
  cast(null as int) as employees,
  cast(null as string) as city,
  cast(null as string) as state_province,
  cast(null as string) as country_code,
  cast(null as int) as territory_id,
  cast(null as string) as territory,
  'Unknown' as region,
  'UTC' as time_zone,
  cast(null as string) as territory_group,
  cast(null as timestamp) as modified_at,
  false as is_inferred,
  false as is_deleted,
  {{ changed_hour(beginning_of_time()) }} as _hour
{% endif %}
