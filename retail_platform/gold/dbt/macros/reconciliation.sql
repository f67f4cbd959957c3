{#-
  What Silver says of the totals that a mart tells: one macro per mart, each a query without any fact
  of sales, spend or purchases, for the tests of that name. Here belong those queries, what of them an
  hour's build compares, and the comparison.
-#}

{#-
  Buckets whose sums differ, both sides beside each other.

  silver    Silver's rows, a query
  measures  columns that are added up
  by        columns of the bucket; none for the table as a whole
  day       the bucket's UTC day in the mart; none for a mart without days
  spans     compared_days() of a mart with days, to which Silver's rows keep, too; none: everything
-#}
{% macro differing_totals(model, silver, measures, by=[], day=none, spans=none) -%}
{%- set columns = by + measures -%}
{%- set mart_rows -%}
  select {{ columns | join(', ') }} from {{ model }}
  {%- if spans is not none %} where {{ date_in_spans(day, spans) }}{% endif -%}
{%- endset %}
select
  {% for column in by %}{{ column }}, {% endfor %}
  {%- for measure in measures %}
  sum(case when is_silver then {{ measure }} else cast(0 as decimal(30, 4)) end) as silver_{{ measure }},
  sum(case when is_silver then cast(0 as decimal(30, 4)) else {{ measure }} end) as mart_{{ measure }}
  {{- ',' if not loop.last }}
  {%- endfor %}
from (
  {%- for side in [silver, mart_rows] %}
  select
    {% for column in by %}{{ column }}, {% endfor %}
    {%- for measure in measures %}cast({{ measure }} as decimal(30, 4)) as {{ measure }}, {% endfor %}
    {{- 'true' if loop.first else 'false' }} as is_silver
  from ({{ side }}) as side
  {{- ' union all' if not loop.last }}
  {%- endfor %}
) as sides
{% if silver_is_ahead() %}where false{% endif %}
{% if by %}group by {{ by | join(', ') }}{% endif %}
having
  {%- for measure in measures %}
  {{ 'or ' if not loop.first }}sum(case when is_silver then {{ measure }} else cast(0 - {{ measure }} as decimal(30, 4)) end) <> 0
  {%- endfor %}
{%- endmacro %}

{#- Predicate: the moment is compared; none: all are. -#}
{% macro is_compared(moment, spans) -%}
  {%- if spans is none -%}true{%- else -%}{{ in_spans(moment, spans) }}{%- endif -%}
{%- endmacro %}

{#- Live sold lines, orders that are cancelled left out. -#}
{% macro silver_sales(spans=none) -%}
  select
    date_trunc('hour', header.ordered_at) as sold_hour, cast(header.ordered_at as date) as sold_date,
    header.currency_code as currency, header.customer_id, header.order_number, line.product_id,
    line.quantity, line.line_total as net_amount
  from {{ source('silver', 'order_lines') }} as line
  inner join {{ source('silver', 'orders') }} as header on header.order_id = line.order_id
  where not coalesce(line._deleted, false) and not coalesce(header._deleted, false)
    and not coalesce(header._inferred, false) and coalesce(header.status, '') <> 'cancelled'
    and {{ is_compared('header.ordered_at', spans) }}
{%- endmacro %}

{#- The same with till lines. -#}
{% macro silver_sales_and_tills(spans) -%}
  select sold_hour, sold_date, currency, quantity, net_amount from ({{ silver_sales(spans) }})
  union all
  select
    date_trunc('hour', sold_at), cast(sold_at as date), 'GBP', quantity,
    cast(cast(quantity as decimal(19, 0)) * unit_price as decimal(19, 4))
  from {{ source('silver', 'pos_transactions') }}
  where not coalesce(_deleted, false) and {{ is_compared('sold_at', spans) }}
{%- endmacro %}

{#- Spend by hour: of Facebook's attribution settings, which repeat it, the one fetched last. -#}
{% macro silver_spend() -%}
  select
    {{ local_hour_to_utc('date_start', 'hour', 'timezone_name') }} as spend_hour,
    currency_code as currency, cast(spend as decimal(19, 4)) as spend
  from (
    select *, row_number() over (
      partition by account_id, campaign_id, date_start, hour
      order by _extracted_at desc, attribution_setting
    ) as preference
    from {{ source('silver', 'facebook_insights') }} where not coalesce(_deleted, false)
  )
  where preference = 1
  union all
  select
    {{ local_hour_to_utc('segments_date', 'segments_hour', 'timezone_name') }},
    currency_code, cast(cast(cost_micros as decimal(19, 0)) * cast('0.000001' as decimal(7, 6)) as decimal(19, 4))
  from {{ source('silver', 'google_campaign_performance') }} where not coalesce(_deleted, false)
{%- endmacro %}

{% macro silver_of_sales_by_region_category(spans) -%}
  select sold_hour, currency, quantity, net_amount from ({{ silver_sales_and_tills(spans) }})
{%- endmacro %}

{#- Added up by hour first: few rows are then told twice, as their hour's and as their day's. -#}
{% macro silver_of_sales_kpi(spans) -%}
  select grain, {{ period_of('sold_hour') }} as period_start, currency, quantity, net_amount
  from (
    select sold_hour, currency, sum(quantity) as quantity, sum(net_amount) as net_amount
    from ({{ silver_sales_and_tills(spans) }}) group by sold_hour, currency
  )
  cross join (select explode(array('hour', 'day')) as grain)
{%- endmacro %}

{% macro silver_of_sales_vs_spend(spans) -%}
  select grain, {{ period_of('hour') }} as period_start, currency, sales_net, spend_total
  from (
    select hour, currency, sum(sales_net) as sales_net, sum(spend_total) as spend_total
    from (
      select sold_hour as hour, currency, net_amount as sales_net, cast(0 as decimal(19, 4)) as spend_total
      from ({{ silver_sales_and_tills(spans) }})
      union all
      select spend_hour, currency, cast(0 as decimal(19, 4)), spend from ({{ silver_spend() }})
      where {{ is_compared('spend_hour', spans) }}
    )
    group by hour, currency
  )
  cross join (select explode(array('hour', 'day')) as grain)
{%- endmacro %}

{% macro silver_of_attributed_sales(spans) -%}
  select sold_hour, currency, net_amount from ({{ silver_sales_and_tills(spans) }})
{%- endmacro %}

{% macro period_of(hour) -%}
  case when grain = 'day' then date_trunc('day', {{ hour }}) else {{ hour }} end
{%- endmacro %}

{#- Stock at the end of the last hour of each product's day; which hours are known, only Gold knows. -#}
{% macro silver_of_stock_turnover(spans) -%}
  select last.stock_date, stock.quantity as closing_stock
  from (
    select product_id, stock_date, max(stock_hour) as stock_hour
    from {{ ref('fct_stock_level') }}
    where {{ is_compared('stock_hour', spans) }}
    group by product_id, stock_date
  ) as last
  inner join ({{ silver_stock() }}) as stock
    on stock.product_id = last.product_id and {{ stands_at_end_of('last.stock_hour') }}
{%- endmacro %}

{% macro silver_of_replenishment() -%}
  select quantity as on_hand, 0 as on_order
  from ({{ silver_stock() }}) as stock
  inner join (select max(stock_hour) as stock_hour from {{ ref('fct_stock_level') }}) as last
    on {{ stands_at_end_of('last.stock_hour') }}
  union all
  select 0, line.ordered_quantity
  from {{ source('silver', 'purchase_order_lines') }} as line
  inner join {{ source('silver', 'purchase_orders') }} as header
    on header.purchase_order_id = line.purchase_order_id
  where line.received_at is null and header.status in ('pending', 'approved')
    and not coalesce(header._inferred, false)
    and not coalesce(line._deleted, false) and not coalesce(header._deleted, false)
    and line.product_id in (
      select stock.product_id from ({{ silver_stock() }}) as stock
      inner join (select max(stock_hour) as stock_hour from {{ ref('fct_stock_level') }}) as last
        on {{ stands_at_end_of('last.stock_hour') }}
    )
{%- endmacro %}

{% macro silver_of_customer_segment() -%}
  select
    sale.customer_id,
    case when sale.currency = 'USD' then sale.net_amount else cast(0 as decimal(19, 4)) end as net_amount
  from ({{ silver_sales() }}) as sale
  where sale.customer_id is not null and sale.sold_date > date_sub((
    select greatest(
      (select coalesce(max(cast(header.ordered_at as date)), date'1900-01-01')
        from {{ source('silver', 'orders') }} as header
        inner join {{ source('silver', 'order_lines') }} as line on line.order_id = header.order_id
        where not coalesce(line._deleted, false) and not coalesce(header._deleted, false)
          and not coalesce(header._inferred, false)),
      (select coalesce(max(cast(sold_at as date)), date'1900-01-01')
        from {{ source('silver', 'pos_transactions') }} where not coalesce(_deleted, false))
    )
  ), {{ var('segment_days') }})
{%- endmacro %}

{% macro silver_of_supplier_performance() -%}
  select header.supplier_id, 1 as line_count, line.line_total as ordered_amount
  from {{ source('silver', 'purchase_order_lines') }} as line
  inner join {{ source('silver', 'purchase_orders') }} as header
    on header.purchase_order_id = line.purchase_order_id and not coalesce(header._inferred, false)
  where not coalesce(line._deleted, false) and not coalesce(header._deleted, false)
{%- endmacro %}

{#-
  The UTC days (spans) that an hour's build compares: its own, those in which it changed a sale or an
  ad hour, and those in which Silver has a row of its hours. None without hours: all are compared.
-#}
{% macro compared_days() -%}
  {%- do ref('fct_sales') -%}
  {%- do ref('fct_marketing_spend') -%}
  {%- if not hours() -%}{{ return(none) }}{%- endif -%}
  {{ return(united_spans(
    hours_days() + touched_days()
    + days_of('cast(ordered_at as date)', source('silver', 'orders') ~ ' where ' ~ in_hours('_hour'))
    + days_of('cast(sold_at as date)', source('silver', 'pos_transactions') ~ ' where ' ~ in_hours('_hour'))
  )) }}
{%- endmacro %}

{#-
  Whether Silver holds later hours than those of this build, as when another run has loaded them
  already: then its totals are not yet Gold's.
-#}
{% macro silver_is_ahead() -%}
  {%- set later -%}
    {%- for entity in ['orders', 'order_lines', 'pos_transactions', 'stock_levels', 'facebook_insights', 'google_campaign_performance', 'purchase_orders', 'purchase_order_lines'] %}
    select _hour from {{ source('silver', entity) }} where _hour > timestamp'{{ hours() | last }}+00:00'
    {%- if not loop.last %} union all {% endif -%}
    {%- endfor -%}
  {%- endset -%}
  {{ return(hours() | length > 0 and run_query("select count(*) from (" ~ later ~ ")").rows[0][0] > 0) }}
{%- endmacro %}
