{{ config(unique_key='customer_version_key', scope='scope_changed_customers') }}
with touched as (
  select distinct customer_id from {{ source('silver', 'customers') }}
  {% if is_hourly() %} where {{ in_hours('_hour') }} {% endif %}
),

versions as (
  select
    customer.*,
    coalesce(customer.valid_from, {{ beginning_of_time() }}) as known_from,
    lead(customer.valid_from) over (
      partition by customer.customer_id order by customer.valid_from nulls first
    ) as next_from,
    row_number() over (
      partition by customer.customer_id order by customer.valid_from nulls first
    ) as version_number
  from {{ source('silver', 'customers') }} as customer
  left semi join touched on touched.customer_id = customer.customer_id
)

select
  {{ surrogate_key('sales', ['customer_id', 'unix_micros(known_from)']) }} as customer_version_key,
  {{ surrogate_key('sales', ['customer_id']) }} as customer_key,
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
  case when version_number = 1 then {{ beginning_of_time() }} else known_from end as effective_from,
  coalesce(next_from, {{ end_of_time() }}) as effective_to,
  next_from is null as is_current,
  coalesce(_inferred, false) as is_inferred,
  coalesce(_deleted, false) or (next_from is null and valid_to is not null) as is_deleted,
  {{ changed_hour('_hour') }} as _hour
from versions
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
  {{ beginning_of_time() }} as effective_from,
  {{ end_of_time() }} as effective_to,
  true as is_current,
  false as is_inferred,
  false as is_deleted,
  {{ changed_hour(beginning_of_time()) }} as _hour
{% endif %}
