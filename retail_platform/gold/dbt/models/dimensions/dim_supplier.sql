{{ config(unique_key='supplier_version_key', scope='scope_changed_suppliers') }}
with {{ member_versions('suppliers', 'supplier_id', in_hours('_hour')) }}

select
  {{ version_keys('purchasing', 'supplier', 'supplier_id') }},
  supplier_id,
  account_number,
  name,
  credit_rating,
  is_preferred,
  is_active,
  modified_at,
  valid_from,
  valid_to,
  {{ version_state() }}
from versions as version
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
  {{ unknown_version_state() }}
{% endif %}
