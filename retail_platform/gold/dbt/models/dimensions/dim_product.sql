{{ config(unique_key='product_version_key', scope='scope_changed_products') }}
with touched as (
  select distinct product_id from {{ source('silver', 'products') }}
  {% if is_hourly() %} where product_id in ({{ changed_products() }}) {% endif %}
),

versions as (
  select
    product.*,
    coalesce(product.valid_from, {{ beginning_of_time() }}) as known_from,
    lead(product.valid_from) over (
      partition by product.product_id order by product.valid_from nulls first
    ) as next_from,
    row_number() over (
      partition by product.product_id order by product.valid_from nulls first
    ) as version_number
  from {{ source('silver', 'products') }} as product
  left semi join touched on touched.product_id = product.product_id
)

select
  {{ surrogate_key('sales', ['version.product_id', 'unix_micros(version.known_from)']) }} as product_version_key,
  {{ surrogate_key('sales', ['version.product_id']) }} as product_key,
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
  case when version.version_number = 1 then {{ beginning_of_time() }} else version.known_from end as effective_from,
  coalesce(version.next_from, {{ end_of_time() }}) as effective_to,
  version.next_from is null as is_current,
  coalesce(version._inferred, false) as is_inferred,
  coalesce(version._deleted, false) or (version.next_from is null and version.valid_to is not null) as is_deleted,
  {{ changed_hour('version._hour') }} as _hour
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
  {{ beginning_of_time() }} as effective_from,
  {{ end_of_time() }} as effective_to,
  true as is_current,
  false as is_inferred,
  false as is_deleted,
  {{ changed_hour(beginning_of_time()) }} as _hour
{% endif %}
