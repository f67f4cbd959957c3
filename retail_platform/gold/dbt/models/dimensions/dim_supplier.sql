{{ config(unique_key='supplier_version_key', scope='scope_changed_suppliers') }}
with touched as (
  select distinct supplier_id from {{ source('silver', 'suppliers') }}
  {% if is_hourly() %} where {{ in_hours('_hour') }} {% endif %}
),

versions as (
  select
    supplier.*,
    coalesce(supplier.valid_from, {{ beginning_of_time() }}) as known_from,
    lead(supplier.valid_from) over (
      partition by supplier.supplier_id order by supplier.valid_from nulls first
    ) as next_from,
    row_number() over (
      partition by supplier.supplier_id order by supplier.valid_from nulls first
    ) as version_number
  from {{ source('silver', 'suppliers') }} as supplier
  left semi join touched on touched.supplier_id = supplier.supplier_id
)

select
  {{ surrogate_key('purchasing', ['supplier_id', 'unix_micros(known_from)']) }} as supplier_version_key,
  {{ surrogate_key('purchasing', ['supplier_id']) }} as supplier_key,
  supplier_id,
  account_number,
  name,
  credit_rating,
  is_preferred,
  is_active,
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
  {{ unknown_key() }} as supplier_version_key,
  {{ unknown_key() }} as supplier_key,
  cast(null as bigint) as supplier_id,
  cast(null as string) as account_number,
  'Unknown' as name,
  cast(null as int) as credit_rating,
  cast(null as boolean) as is_preferred,
  cast(null as boolean) as is_active,
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
