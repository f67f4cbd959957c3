{#-
  What an hour touched of the facts, asked before a fact is built. Each question has a predicate of
  its own on `_hour`, by which files are skipped; a condition on several tables skips none. Not here:
  what is asked of facts for marts (`scopes`), and of visits (`visits`).
-#}

{#- Customers (column id) of whom a version, or the name of whose territory, changed in the hour. -#}
{% macro changed_customers() -%}
  select customer_id as id from {{ ref('dim_customer') }} where {{ in_hours('_hour') }}
  union all
  select customer_id as id from {{ ref('dim_customer') }}
  where territory_id in (select territory_id from {{ source('silver', 'territories') }} where {{ in_hours('_hour') }})
{%- endmacro %}

{#- Products (column id) of which a version changed in the hour. -#}
{% macro changed_versions_of_products() -%}
  select product_id as id from {{ ref('dim_product') }} where {{ in_hours('_hour') }}
{%- endmacro %}

{#-
  Orders (column id) that the hour touched: by their header or a line, their customer or a product.

  customers, products              changed_customers(), changed_versions_of_products()
  customer_spans, product_spans    their spans; without any no order is sought by them
-#}
{% macro touched_orders(customers, customer_spans, products, product_spans) -%}
  select order_id as id from {{ source('silver', 'orders') }} where {{ in_hours('_hour') }}
  union all
  select order_id as id from {{ source('silver', 'order_lines') }} where {{ in_hours('_hour') }}
  {%- if customer_spans %}
  union all
  select order_id as id from {{ source('silver', 'orders') }}
  where {{ id_in_spans('customer_id', customer_spans) }} and customer_id in ({{ customers }})
  {%- endif %}
  {%- if product_spans %}
  union all
  select order_id as id from {{ source('silver', 'order_lines') }}
  where {{ id_in_spans('product_id', product_spans) }} and product_id in ({{ products }})
  {%- endif -%}
{%- endmacro %}

{#-
  Articles of a customer (customer_id, stock_code) of which the hour touched a till line, and since
  when (touched_from): no earlier return can have another sale now. A line can have been another's
  before; that is what `sales` still tells.
-#}
{% macro touched_articles(sales) -%}
  {%- set files -%}
    select file_path as _file_path, _hour from {{ source('silver', 'pos_transactions') }} where {{ in_hours('_hour') }}
  {%- endset -%}
  select customer_id, stock_code, min(sold_at) as touched_from
  from (
    select customer_id, stock_code, sold_at from {{ source('silver', 'pos_transactions') }}
    where {{ in_hours('_hour') }}
    union all
    select cast(customer_code as bigint) as customer_id, product_code as stock_code, sold_at from {{ sales }}
    where {{ text_between('_file_path', "(" ~ files ~ ")", '_hour') }} and _file_path in (select _file_path from ({{ files }}))
  )
  where customer_id is not null
  group by customer_id, stock_code
{%- endmacro %}

{#- The days (spans) from the first on which an article was touched. -#}
{% macro days_since_touched(articles) -%}
  {{ return(day_spans(
    "select cast(min(touched_from) as date) as first_day, cast(" ~ end_of_time() ~ " as date) as last_day from ("
    ~ articles ~ ")"
  )) }}
{%- endmacro %}

{#- The spans of the customers who took back a touched article since then, in those days. -#}
{% macro returning_customers(articles, days) -%}
  {%- if not days -%}{{ return([]) }}{%- endif -%}
  {{ return(id_spans(
    "select till.customer_id as id from " ~ source('silver', 'pos_transactions') ~ " as till inner join (" ~ articles
    ~ ") as touched on touched.customer_id = till.customer_id and touched.stock_code = till.stock_code"
    ~ " and till.sold_at >= touched.touched_from where " ~ is_taken_back('till') ~ " and " ~ in_spans('till.sold_at', days)
  )) }}
{%- endmacro %}

{#- Predicate: the till line takes goods back. -#}
{% macro is_taken_back(till) -%}
  (upper({{ till }}.invoice_no) like 'C%' or {{ till }}.quantity < 0)
{%- endmacro %}

{#- Orders with suppliers (column id) of which the hour touched the header or a line. -#}
{% macro touched_purchase_orders() -%}
  select purchase_order_id as id from {{ source('silver', 'purchase_orders') }} where {{ in_hours('_hour') }}
  union all
  select purchase_order_id as id from {{ source('silver', 'purchase_order_lines') }} where {{ in_hours('_hour') }}
{%- endmacro %}

{#- The days (spans), local to the accounts, of which the hour brought spend. -#}
{% macro touched_spend_days() -%}
  {{ return(days_of(
    'spend_date',
    "(select date_start as spend_date from " ~ source('silver', 'facebook_insights') ~ " where " ~ in_hours('_hour')
    ~ " union all select segments_date as spend_date from " ~ source('silver', 'google_campaign_performance')
    ~ " where " ~ in_hours('_hour') ~ ")"
  )) }}
{%- endmacro %}
