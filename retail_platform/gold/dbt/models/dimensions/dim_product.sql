{{ config(unique_key='product_version_key', scope='scope_changed_products') }}
with {{ member_versions('products', 'product_id', scope_changed_products()) }}

select
  {{ version_keys('sales', 'product', 'product_id') }},
  version.product_id,
  version.name,
  version.product_number,
  version.color,
  version.size,
  version.product_line,
  version.class,
  version.style,
  version.standard_cost,
  version.list_price,
  version.subcategory_id,
  category.subcategory,
  category.category_id,
  category.category,
  version.safety_stock_level,
  version.reorder_point,
  version.sell_start_date,
  version.sell_end_date,
  version.modified_at,
  version.valid_from,
  version.valid_to,
  {{ version_state() }}
from versions as version
left join {{ source('silver', 'categories') }} as category
  on category.subcategory_id = version.subcategory_id
{% if not is_hourly() %}
union all
select
  {{ unknown_key() }} as product_version_key,
  {{ unknown_key() }} as product_key,
  cast(null as bigint) as product_id,
  'Unknown' as name,
  cast(null as string) as product_number,
  cast(null as string) as color,
  cast(null as string) as size,
  cast(null as string) as product_line,
  cast(null as string) as class,
  cast(null as string) as style,
  cast(null as decimal(19, 4)) as standard_cost,
  cast(null as decimal(19, 4)) as list_price,
  cast(null as int) as subcategory_id,
  cast(null as string) as subcategory,
  cast(null as int) as category_id,
  cast(null as string) as category,
  cast(null as int) as safety_stock_level,
  cast(null as int) as reorder_point,
  cast(null as date) as sell_start_date,
  cast(null as date) as sell_end_date,
  cast(null as timestamp) as modified_at,
  cast(null as timestamp) as valid_from,
  cast(null as timestamp) as valid_to,
  {{ unknown_version_state() }}
{% endif %}
