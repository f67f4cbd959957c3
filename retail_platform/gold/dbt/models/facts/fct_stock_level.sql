{{ config(unique_key='stock_key', scope='scope_stock_of_hour', partition_by='stock_month') }}
{#-
  The stock at the end of every known hour. An hour's build writes its own hour for every product and
  location, and for those whose versions it changed the known hours since the first of these began: a
  version that is learnt late also corrects the past.
-#}
with known_hours as (
  select distinct _hour as stock_hour from {{ source('silver', 'stock_levels') }}
  union
  select distinct _hour as stock_hour from {{ source('silver', 'pos_transactions') }}
  {% if execute and load_relation(this) is not none %}
  union
  select distinct stock_hour from {{ this }}
  {% endif %}
  {% if hours() %}
  union
  select explode({{ hours_array() }}) as stock_hour
  {% endif %}
)
{%- if is_hourly() %},

touched as (
  {{ changed_stock() }}
)
{% endif %}

select
  {{ surrogate_key('inventory', ['stock.product_id', 'stock.location_id', 'unix_micros(known_hours.stock_hour)']) }} as stock_key,
  {{ surrogate_key('sales', ['stock.product_id']) }} as product_key,
  stock.product_id,
  stock.location_id,
  known_hours.stock_hour,
  cast(known_hours.stock_hour as date) as stock_date,
  date_format(known_hours.stock_hour, 'yyyy-MM') as stock_month,
  stock.quantity,
  stock.shelf,
  stock.bin,
  {{ changed_hour('known_hours.stock_hour') }} as _hour
from ({{ silver_stock() }}) as stock
{% if is_hourly() %}
left join touched
  on touched.product_id = stock.product_id and touched.location_id = stock.location_id
{% endif %}
inner join known_hours on {{ stands_at_end_of('known_hours.stock_hour') }}
{% if is_hourly() %}
where {{ in_hours('known_hours.stock_hour') }} or {{ ends_after('known_hours.stock_hour', 'touched.changed_from') }}
{% endif %}
