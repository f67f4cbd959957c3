{{ config(unique_key='sales_key', accumulate=['_touched_hours'], partition_by='sold_month') }}
{#-
  A sale depends on its line, its order's header and, for region and category, on the versions of its
  customer and product: an hour that changed any of them computes the sale anew. A line whose header
  is not there (or only inferred) waits: it appears in the hour in which the header arrives.
-#}
{%- set till_key = surrogate_key('pos', ['file_path', 'line_number']) %}
with order_lines as (
  select
    line.order_id, line.line_number, line.product_id, line.quantity, line.unit_price, line.line_total,
    header.order_number, header.channel, header.customer_id, header.store_id, header.ordered_at,
    header.status, header.currency_code,
    coalesce(line._deleted, false) or coalesce(header._deleted, false) as is_deleted,
    {{ surrogate_key('sales', ['line.order_id', 'line.line_number']) }} as sales_key,
    {{ member_key('sales', 'header.customer_id') }} as customer_key,
    {{ member_key('sales', 'line.product_id') }} as product_key,
    {{ member_key('sales', 'header.store_id') }} as store_key,
    greatest(line._hour, header._hour) as _hour
  from {{ source('silver', 'order_lines') }} as line
  inner join {{ source('silver', 'orders') }} as header
    on header.order_id = line.order_id and not coalesce(header._inferred, false)
  {% if is_hourly() %}
  left join (
    select distinct customer_id from {{ ref('dim_customer') }}
    where customer_id is not null and (
      {{ in_hours('_hour') }} or territory_id in (
        select territory_id from {{ source('silver', 'territories') }} where {{ in_hours('_hour') }}
      )
    )
  ) as changed_customer on changed_customer.customer_id = header.customer_id
  left join (
    select distinct product_id from {{ ref('dim_product') }}
    where product_id is not null and {{ in_hours('_hour') }}
  ) as changed_product on changed_product.product_id = line.product_id
  where {{ in_hours('line._hour') }} or {{ in_hours('header._hour') }}
    or changed_customer.customer_id is not null or changed_product.product_id is not null
  {% endif %}
),

till_lines as (
  select
    *,
    {{ till_key }} as sales_key,
    upper(invoice_no) like 'C%' or quantity < 0 as is_return,
    concat_ws('|', cast(customer_id as string), stock_code) as bought_by
  from {{ source('silver', 'pos_transactions') }}
),

{# A return is linked to the last sale of the same article to the same customer before it. #}
built_till_lines as (
  select * from till_lines
  {% if is_hourly() %}
  where {{ in_hours('_hour') }} or (is_return and customer_id is not null and bought_by in (
    select bought_by from till_lines where {{ in_hours('_hour') }} and customer_id is not null
  ))
  {% endif %}
),

returned_sales as (
  select
    taken_back.sales_key,
    sold.sales_key as returned_sales_key,
    row_number() over (
      partition by taken_back.sales_key
      order by sold.sold_at desc, sold.file_path desc, sold.line_number desc
    ) as recency
  from built_till_lines as taken_back
  inner join till_lines as sold
    on sold.bought_by = taken_back.bought_by and sold.sold_at <= taken_back.sold_at
  where taken_back.is_return and taken_back.customer_id is not null
    and not sold.is_return and not coalesce(sold._deleted, false)
)

select
  line.sales_key,
  'sales' as source,
  line.channel,
  line.order_number,
  cast(null as string) as invoice_no,
  cast(line.line_number as bigint) as line_number,
  line.customer_key,
  line.product_key,
  line.store_key,
  cast(line.customer_id as string) as customer_code,
  cast(line.product_id as string) as product_code,
  line.ordered_at as sold_at,
  date_trunc('hour', line.ordered_at) as sold_hour,
  cast(line.ordered_at as date) as sold_date,
  date_format(line.ordered_at, 'yyyy-MM') as sold_month,
  line.quantity,
  line.unit_price,
  cast(line.line_total as decimal(19, 4)) as net_amount,
  case when line.currency_code = 'USD'
    then cast(cast(line.quantity as decimal(19, 0)) * product.standard_cost as decimal(19, 4)) end as cost_amount,
  line.currency_code as currency,
  line.status,
  cast(null as string) as country,
  coalesce(territory.name, 'Unknown') as region,
  coalesce(product.category, 'Unclassified') as category,
  coalesce(line.status = 'cancelled', false) as is_cancelled,
  false as is_return,
  cast(null as string) as returned_sales_key,
  line.is_deleted,
  {{ changed_hour('line._hour') }} as _hour,
  {{ hour_set('line.ordered_at') }} as _touched_hours
from order_lines as line
left join {{ ref('dim_customer') }} as customer
  on customer.customer_key = line.customer_key
  and line.ordered_at >= customer.effective_from and line.ordered_at < customer.effective_to
left join {{ source('silver', 'territories') }} as territory
  on territory.territory_id = customer.territory_id
left join {{ ref('dim_product') }} as product
  on product.product_key = line.product_key
  and line.ordered_at >= product.effective_from and line.ordered_at < product.effective_to

union all

select
  till.sales_key,
  'pos' as source,
  'pos' as channel,
  cast(null as string) as order_number,
  invoice_no,
  line_number,
  {{ unknown_key() }} as customer_key,
  {{ unknown_key() }} as product_key,
  {{ unknown_key() }} as store_key,
  cast(customer_id as string) as customer_code,
  stock_code as product_code,
  sold_at,
  date_trunc('hour', sold_at) as sold_hour,
  cast(sold_at as date) as sold_date,
  date_format(sold_at, 'yyyy-MM') as sold_month,
  quantity,
  unit_price,
  cast(cast(quantity as decimal(19, 0)) * unit_price as decimal(19, 4)) as net_amount,
  cast(null as decimal(19, 4)) as cost_amount,
  'GBP' as currency,
  cast(null as string) as status,
  country,
  coalesce(country, 'Unknown') as region,
  'Unclassified' as category,
  false as is_cancelled,
  is_return,
  returned.returned_sales_key,
  coalesce(_deleted, false) as is_deleted,
  {{ changed_hour('_hour') }} as _hour,
  {{ hour_set('sold_at') }} as _touched_hours
from built_till_lines as till
left join returned_sales as returned
  on returned.sales_key = till.sales_key and returned.recency = 1
