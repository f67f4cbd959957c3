{{ config(unique_key='customer_version_key', scope='scope_changed_customers') }}
with {{ member_versions('customers', 'customer_id', in_hours('_hour')) }}

select
  {{ version_keys('sales', 'customer', 'customer_id') }},
  customer_id,
  account_number,
  customer_type,
  person_id,
  store_id,
  territory_id,
  full_name,
  email,
  phone,
  address_line,
  city,
  state_province,
  postal_code,
  country_code,
  modified_at,
  valid_from,
  valid_to,
  {{ version_state() }}
from versions as version
{% if not is_hourly() %}
union all
select
  {{ unknown_key() }} as customer_version_key,
  {{ unknown_key() }} as customer_key,
  cast(null as bigint) as customer_id,
  cast(null as string) as account_number,
  'unknown' as customer_type,
  cast(null as bigint) as person_id,
  cast(null as bigint) as store_id,
  cast(null as int) as territory_id,
  cast(null as string) as full_name,
  cast(null as string) as email,
  cast(null as string) as phone,
  cast(null as string) as address_line,
  cast(null as string) as city,
  cast(null as string) as state_province,
  cast(null as string) as postal_code,
  cast(null as string) as country_code,
  cast(null as timestamp) as modified_at,
  cast(null as timestamp) as valid_from,
  cast(null as timestamp) as valid_to,
  {{ unknown_version_state() }}
{% endif %}
