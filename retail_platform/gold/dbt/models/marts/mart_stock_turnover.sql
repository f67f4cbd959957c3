{{ config(unique_key='turnover_key', scope='scope_touched_stock_days') }}
{#- A day's turnover looks back over the sales of var('turnover_days') days, the day itself included. -#}
{%- if is_hourly() -%}
  {%- set days = touched_stock_days() -%}
{%- endif %}
with hourly_stock as (
  select product_key, product_id, stock_date, stock_hour, sum(cast(quantity as bigint)) as quantity, max(_hour) as _hour
  from {{ ref('fct_stock_level') }}
  {% if is_hourly() %} where {{ date_in_spans('stock_date', days) }} {% endif %}
  group by product_key, product_id, stock_date, stock_hour
),

daily_stock as (
  select
    product_key, product_id, stock_date, count(*) as hours_known,
    sum(quantity) as quantity_hours, max_by(quantity, stock_hour) as closing_stock, max(_hour) as _hour
  from hourly_stock
  group by product_key, product_id, stock_date
),

daily_sales as (
  select product_key, sold_date, sum(cast(quantity as bigint)) as units
  from {{ ref('fct_sales') }}
  where source = 'sales' and not is_cancelled and not is_deleted
  {% if is_hourly() %} and {{ date_in_spans('sold_date', widened_spans(days, var('turnover_days') - 1, 0)) }} {% endif %}
  group by product_key, sold_date
),

trailing_sales as (
  select stock.product_key, stock.stock_date, sum(sales.units) as units
  from daily_stock as stock
  inner join daily_sales as sales
    on sales.product_key = stock.product_key
    and sales.sold_date <= stock.stock_date
    and sales.sold_date > date_sub(stock.stock_date, {{ var('turnover_days') }})
  group by stock.product_key, stock.stock_date
),

measured as (
  select
    stock.product_key, stock.product_id, stock.stock_date, stock.hours_known, stock.closing_stock, stock._hour,
    coalesce(sales.units, 0) as units_sold,
    cast(stock.quantity_hours as double) / stock.hours_known as average_stock
  from daily_stock as stock
  left join trailing_sales as sales
    on sales.product_key = stock.product_key and sales.stock_date = stock.stock_date
)

select
  {{ surrogate_key('mart', ['product_id', 'stock_date']) }} as turnover_key,
  product_key,
  product_id,
  stock_date,
  cast({{ var('turnover_days') }} as int) as trailing_days,
  hours_known,
  units_sold,
  round(average_stock, 6) as average_stock,
  closing_stock,
  case when units_sold + closing_stock > 0
    then round(cast(units_sold as double) / (units_sold + closing_stock), 6) end as sell_through,
  case when average_stock > 0 then round(units_sold / average_stock, 6) end as turnover,
  case when units_sold > 0
    then round(average_stock * {{ var('turnover_days') }} / units_sold, 6) end as days_of_cover,
  {{ changed_hour('_hour') }} as _hour
from measured
