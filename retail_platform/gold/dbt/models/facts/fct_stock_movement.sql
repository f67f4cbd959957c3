{{ config(unique_key='movement_key', scope='scope_changed_stock') }}
{#-
  What happened to the stock of a product at a location, told from the versions of its level: every
  change of the quantity, the first level that was seen, and the end of a level without a successor.
-#}
with versions as (
  select
    product_id, location_id, quantity, valid_from, valid_to, _hour,
    lag(quantity) over (partition by product_id, location_id order by valid_from) as quantity_before,
    lag(valid_to) over (partition by product_id, location_id order by valid_from) as ended_before,
    lead(valid_from) over (partition by product_id, location_id order by valid_from) as next_from
  from {{ source('silver', 'stock_levels') }}
  where not coalesce(_deleted, false) and not coalesce(_inferred, false)
  {% if is_hourly() %} and {{ scope_changed_stock() }} {% endif %}
),

movements as (
  select
    product_id, location_id, valid_from as moved_at, _hour,
    case when ended_before is null or ended_before < valid_from then 'opening' else 'change' end as event,
    case when ended_before is null or ended_before < valid_from then 0 else quantity_before end as quantity_before,
    quantity as quantity_after
  from versions
  union all
  select
    product_id, location_id, valid_to as moved_at, _hour,
    'removal' as event, quantity as quantity_before, 0 as quantity_after
  from versions
  where valid_to is not null and (next_from is null or next_from > valid_to)
)

select
  {{ surrogate_key('inventory', ['product_id', 'location_id', 'unix_micros(moved_at)', 'event']) }} as movement_key,
  {{ surrogate_key('sales', ['product_id']) }} as product_key,
  product_id,
  location_id,
  moved_at,
  date_trunc('hour', moved_at) as moved_hour,
  cast(moved_at as date) as moved_date,
  case
    when event <> 'change' then event
    when quantity_after > quantity_before then 'receipt'
    else 'issue'
  end as kind,
  quantity_before,
  quantity_after,
  quantity_after - quantity_before as quantity_change,
  {{ changed_hour('_hour') }} as _hour
from movements
where event <> 'change' or quantity_after <> quantity_before
