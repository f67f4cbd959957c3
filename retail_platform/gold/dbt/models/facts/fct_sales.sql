{{ config(
  unique_key='sales_key', accumulate=['_touched_hours'], partition_by='sold_month', sought_by=['_order_id', '_file_path']
) }}
{#-
  A sale depends on its line, its order's header and, for region and category, on the versions of its
  customer and product: an hour that changed any of them computes the sale anew. A line whose header
  is not there (or only inferred) waits: it appears in the hour in which the header arrives.
-#}
{%- set till_key = surrogate_key('pos', ['file_path', 'line_number']) %}
{%- if is_hourly() -%}
  {%- set customers = changed_customers() -%}
  {%- set customer_spans = id_spans(customers) -%}
  {%- set products = changed_versions_of_products() -%}
  {%- set product_spans = id_spans(products) -%}
  {%- set order_spans = id_spans(touched_orders(customers, customer_spans, products, product_spans)) -%}
  {%- set articles = touched_articles(this) -%}
  {%- set till_days = days_since_touched(articles) -%}
  {%- set returning_spans = returning_customers(articles, till_days) -%}
{%- endif %}
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
  {% if customer_spans %}
  left join (select distinct id from ({{ customers }})) as changed_customer
    on changed_customer.id = header.customer_id
  {% endif %}
  {% if product_spans %}
  left join (select distinct id from ({{ products }})) as changed_product
    on changed_product.id = line.product_id
  {% endif %}
  where {{ id_in_spans('line.order_id', order_spans) }} and {{ id_in_spans('header.order_id', order_spans) }}
    and (
      {{ in_hours('line._hour') }} or {{ in_hours('header._hour') }}
      {% if customer_spans %} or changed_customer.id is not null {% endif %}
      {% if product_spans %} or changed_product.id is not null {% endif %}
    )
  {% endif %}
),

till_lines as (
  select
    till.*,
    {{ till_key }} as sales_key,
    {{ is_taken_back('till') }} as is_return
  from {{ source('silver', 'pos_transactions') }} as till
  {% if is_hourly() %}
  left join ({{ articles }}) as touched
    on touched.customer_id = till.customer_id and touched.stock_code = till.stock_code
  where ({{ in_hours('till._hour') }} or {{ in_spans('till.sold_at', till_days) }})
    and ({{ in_hours('till._hour') }} or ({{ is_taken_back('till') }} and till.sold_at >= touched.touched_from))
  {% endif %}
),

{# A return is linked to the last sale of the same article to the same customer before it. #}
returned_sales as (
  select
    taken_back.sales_key,
    sold.file_path,
    sold.line_number,
    row_number() over (
      partition by taken_back.sales_key
      order by sold.sold_at desc, sold.file_path desc, sold.line_number desc
    ) as recency
  from till_lines as taken_back
  inner join {{ source('silver', 'pos_transactions') }} as sold
    on sold.customer_id = taken_back.customer_id and sold.stock_code = taken_back.stock_code
    and sold.sold_at <= taken_back.sold_at
  where taken_back.is_return and not {{ is_taken_back('sold') }} and not coalesce(sold._deleted, false)
  {% if is_hourly() %} and {{ id_in_spans('sold.customer_id', returning_spans) }} {% endif %}
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
  line.order_id as _order_id,
  cast(null as string) as _file_path,
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
  till.line_number,
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
  case when returned.sales_key is not null
    then {{ surrogate_key('pos', ['returned.file_path', 'returned.line_number']) }} end as returned_sales_key,
  coalesce(_deleted, false) as is_deleted,
  cast(null as bigint) as _order_id,
  till.file_path as _file_path,
  {{ changed_hour('_hour') }} as _hour,
  {{ hour_set('sold_at') }} as _touched_hours
from till_lines as till
left join returned_sales as returned
  on returned.sales_key = till.sales_key and returned.recency = 1
