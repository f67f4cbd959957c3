{{ config(unique_key='product_key', scope='scope_everything') }}
{#-
  What to order today. Demand is that of the last var('demand_weeks') weeks before the last day whose
  stock is known, by weekday, zeros included. With demand a day d (spread s), lead time L (spread t)
  and the service level's quantile z:
      safety stock  = z * sqrt(L * s^2 + d^2 * t^2)
      reorder point = demand of the next L days, by their weekdays, + safety stock
  At or below the reorder point, ordering up to reorder point + demand of var('review_days') days.
-#}
{%- set z = {0.9: 1.281552, 0.95: 1.644854, 0.975: 1.959964, 0.98: 2.053749, 0.99: 2.326348} -%}
{%- if var('service_level') not in z -%}
  {{ exceptions.raise_compiler_error("service_level is " ~ var('service_level') ~ "; known are " ~ z.keys() | list) }}
{%- endif -%}
{%- set weeks = var('demand_weeks') | int -%}
{%- set lead_days = var('lead_time_days') -%}
with as_of as (
  select max(stock_date) as day, max(stock_hour) as hour from {{ ref('fct_stock_level') }}
),

stock as (
  select level.product_key, level.product_id, sum(cast(level.quantity as bigint)) as on_hand
  from {{ ref('fct_stock_level') }} as level
  inner join as_of on level.stock_hour = as_of.hour
  where level.stock_date = (select day from as_of)
  group by level.product_key, level.product_id
),

daily_demand as (
  select sale.product_key, sale.sold_date, sum(cast(sale.quantity as bigint)) as units
  from {{ ref('fct_sales') }} as sale
  where sale.source = 'sales' and not sale.is_cancelled and not sale.is_deleted
    and sale.sold_date >= date_sub((select day from as_of), {{ 7 * weeks }})
    and sale.sold_date < (select day from as_of)
  group by sale.product_key, sale.sold_date
),

weekday_demand as (
  select product_key, weekday(sold_date) as weekday, cast(sum(units) as double) / {{ weeks }} as units
  from daily_demand
  group by product_key, weekday(sold_date)
),

demand as (
  select
    product_key,
    sum(units) as units,
    cast(sum(units) as double) / {{ 7 * weeks }} as a_day,
    sqrt((sum(cast(units as double) * units) - cast(sum(units) as double) * sum(units) / {{ 7 * weeks }}) / {{ 7 * weeks - 1 }}) as spread
  from daily_demand
  group by product_key
),

purchases as (
  select
    product_key,
    sum(case when is_open then cast(ordered_quantity as bigint) else cast(0 as bigint) end) as on_order,
    count(lead_time_minutes) as deliveries,
    cast(sum(lead_time_minutes) as double) / count(lead_time_minutes) / 1440 as days,
    sqrt(greatest(
      sum(cast(lead_time_minutes as double) * lead_time_minutes)
      - cast(sum(lead_time_minutes) as double) * sum(lead_time_minutes) / count(lead_time_minutes),
      cast(0 as double)
    ) / (count(lead_time_minutes) - 1)) / 1440 as spread
  from {{ ref('fct_purchase_line') }}
  where not is_deleted
  group by product_key
),

{# That of the deliveries there were; three are the least to tell a spread from. #}
lead_time as (
  select
    stock.product_key,
    coalesce(purchases.on_order, cast(0 as bigint)) as on_order,
    case when purchases.deliveries >= 3 then round(purchases.days, 4)
      else cast({{ lead_days }} as double) end as days,
    case when purchases.deliveries >= 3 then round(purchases.spread, 4)
      else cast({{ var('lead_time_spread_days') }} as double) end as spread
  from stock
  left join purchases on purchases.product_key = stock.product_key
),

{# How often each weekday lies within the lead time and within the days between two orders. #}
coming_days as (
  select lead_time.product_key, weekday(date_add(as_of.day, day_offset)) as weekday,
    sum(case when day_offset <= ceil(lead_time.days) then 1 else 0 end) as lead_days,
    sum(case when day_offset > ceil(lead_time.days) then 1 else 0 end) as review_days
  from lead_time
  cross join as_of
  cross join (select explode(sequence(1, 400)) as day_offset)
  where day_offset <= ceil(lead_time.days) + {{ var('review_days') }}
  group by lead_time.product_key, weekday(date_add(as_of.day, day_offset))
),

expected as (
  select
    coming.product_key,
    sum(coming.lead_days * weekday_demand.units) as lead_units,
    sum(coming.review_days * weekday_demand.units) as review_units
  from coming_days as coming
  inner join weekday_demand
    on weekday_demand.product_key = coming.product_key and weekday_demand.weekday = coming.weekday
  group by coming.product_key
),

measured as (
  select
    stock.product_key, stock.product_id, as_of.day as as_of_date, as_of.hour as as_of_hour,
    product.name, product.category, product.standard_cost,
    coalesce(product.sell_end_date <= as_of.day or product.is_deleted, false) as is_discontinued,
    stock.on_hand,
    lead_time.on_order,
    coalesce(demand.units, cast(0 as bigint)) as units_sold,
    cast(round(coalesce(demand.a_day, 0.0), 6) as decimal(30, 6)) as demand_a_day,
    cast(round(coalesce(demand.spread, 0.0), 6) as decimal(30, 6)) as demand_spread,
    round(lead_time.days, 6) as lead_time_days,
    round(lead_time.spread, 6) as lead_time_spread,
    cast(round(coalesce(expected.lead_units, 0.0), 6) as decimal(30, 6)) as lead_time_demand,
    cast(round(coalesce(expected.review_units, 0.0), 6) as decimal(30, 6)) as review_demand,
    cast(ceil(round({{ z[var('service_level')] }} * sqrt(
      lead_time.days * coalesce(demand.spread, 0.0) * coalesce(demand.spread, 0.0)
      + coalesce(demand.a_day, 0.0) * coalesce(demand.a_day, 0.0) * lead_time.spread * lead_time.spread
    ), 6)) as bigint) as safety_stock
  from stock
  cross join as_of
  inner join lead_time on lead_time.product_key = stock.product_key
  left join demand on demand.product_key = stock.product_key
  left join expected on expected.product_key = stock.product_key
  left join {{ ref('dim_product') }} as product
    on product.product_key = stock.product_key and product.is_current
),

pointed as (
  select *, cast(ceil(lead_time_demand) as bigint) + safety_stock as reorder_point from measured
),

advised as (
  select
    *,
    case
      when is_discontinued then 'discontinued'
      when units_sold = 0 then 'no demand'
      when on_hand + on_order <= reorder_point then 'order'
      else 'enough'
    end as advice
  from pointed
)

select
  product_key,
  product_id,
  coalesce(name, 'Unknown') as name,
  coalesce(category, 'Unclassified') as category,
  as_of_date,
  on_hand,
  on_order,
  units_sold,
  demand_a_day,
  demand_spread,
  lead_time_days,
  lead_time_spread,
  lead_time_demand,
  safety_stock,
  reorder_point,
  case when units_sold > 0
    then cast(round(cast(on_hand as double) * {{ 7 * weeks }} / units_sold, 4) as decimal(30, 4)) end as days_of_cover,
  advice,
  case when advice = 'order'
    then reorder_point + cast(ceil(review_demand) as bigint) - on_hand - on_order
    else cast(0 as bigint) end as suggested_quantity,
  case when advice = 'order' and standard_cost is not null then cast(cast(
    reorder_point + cast(ceil(review_demand) as bigint) - on_hand - on_order as decimal(19, 0)
  ) * standard_cost as decimal(19, 4)) end as suggested_cost,
  case advice
    when 'discontinued' then 'No longer sold: let the stock run out.'
    when 'no demand' then 'Nothing was sold in the last {{ weeks }} weeks.'
    when 'order' then concat(
      'Stock ', cast(on_hand as string), ' and ', cast(on_order as string),
      ' on order reach no further than the reorder point ', cast(reorder_point as string), ': ',
      cast(cast(ceil(lead_time_demand) as bigint) as string), ' will be sold in the ',
      cast(cast(ceil(lead_time_days) as int) as string), ' days of delivery, and ',
      cast(safety_stock as string), ' guard against surprises ({{ var("service_level") * 100 }} % service).')
    else concat(
      'Stock ', cast(on_hand as string), ' and ', cast(on_order as string),
      ' on order are above the reorder point ', cast(reorder_point as string), '.')
  end as reason,
  {{ changed_hour('as_of_hour') }} as _hour
from advised
