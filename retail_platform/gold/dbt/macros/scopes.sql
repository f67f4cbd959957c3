{#-
  The scopes that an hour's build replaces, as predicates over the stored table's own columns. A model
  names its macro in config(scope=...): a macro and not SQL text, because dbt fixes config values
  when it parses the project, when the hour is not known yet.
-#}

{% macro scope_changed_customers() -%}
  customer_id in (
    select customer_id from {{ source('silver', 'customers') }} where {{ in_hours('_hour') }}
  )
{%- endmacro %}

{% macro scope_changed_products() -%}
  product_id in ({{ changed_products() }})
{%- endmacro %}

{#- Products of which a version, or the category of a version, changed in the hour. -#}
{% macro changed_products() -%}
  select product.product_id from {{ source('silver', 'products') }} as product
  left join {{ source('silver', 'categories') }} as category
    on category.subcategory_id = product.subcategory_id
  where {{ in_hours('product._hour') }} or {{ in_hours('category._hour') }}
{%- endmacro %}

{% macro scope_changed_suppliers() -%}
  supplier_id in (
    select supplier_id from {{ source('silver', 'suppliers') }} where {{ in_hours('_hour') }}
  )
{%- endmacro %}

{% macro scope_changed_stock() -%}
  concat_ws(':', cast(product_id as string), cast(location_id as string)) in (
    select concat_ws(':', cast(product_id as string), cast(location_id as string))
    from {{ source('silver', 'stock_levels') }} where {{ in_hours('_hour') }}
  )
{%- endmacro %}

{#- Tickets that changed, or of which a comment did. -#}
{% macro touched_tickets() -%}
  select ticket_id from {{ source('silver', 'tickets') }} where {{ in_hours('_hour') }}
  union
  select ticket_id from {{ source('silver', 'ticket_comments') }} where {{ in_hours('_hour') }}
{%- endmacro %}

{#- All that is known of a touched ticket, and reviews and answers that changed. -#}
{% macro scope_touched_interactions() -%}
  concat_ws(':', case when ticket_id is null then source else 'ticket' end, coalesce(cast(ticket_id as string), source_id)) in (
    select concat('ticket:', cast(ticket_id as string)) from ({{ touched_tickets() }})
    union
    select concat('product_reviews:', cast(review_id as string))
    from {{ source('silver', 'product_reviews') }} where {{ in_hours('_hour') }}
    union
    select concat('survey_responses:', response_id)
    from {{ source('silver', 'survey_responses') }} where {{ in_hours('_hour') }}
  )
{%- endmacro %}

{#- Every row: for tables that are computed anew each time, of which only real changes are written. -#}
{% macro scope_everything() -%}true{%- endmacro %}

{#-
  Products and locations of which a version changed, and since when that can matter: no change reaches
  back beyond the beginning of the first version that was added, closed or taken back.
-#}
{% macro changed_stock() -%}
  select product_id, location_id, min(coalesce(valid_from, {{ beginning_of_time() }})) as changed_from
  from {{ source('silver', 'stock_levels') }} where {{ in_hours('_hour') }}
  group by product_id, location_id
{%- endmacro %}

{#- Predicate: the hour ends after the moment. -#}
{% macro ends_after(hour, moment) -%}
  timestampadd(hour, 1, {{ hour }}) > {{ moment }}
{%- endmacro %}

{% macro scope_stock_of_hour() -%}
  {{ in_hours('stock_hour') }} or stock_key in (
    select known.stock_key from {{ this }} as known
    inner join ({{ changed_stock() }}) as changed
      on changed.product_id = known.product_id and changed.location_id = known.location_id
      and {{ ends_after('known.stock_hour', 'changed.changed_from') }}
  )
{%- endmacro %}

{% macro scope_touched_sales_hours() -%}
  {{ in_spans('sold_hour', touched_sales_days()) }} and sold_hour in (
    select {{ exploded_hours('_touched_hours') }} from {{ ref('fct_sales') }} where {{ in_hours('_hour') }}
  )
{%- endmacro %}

{#- The days on which a changed sale counts: its own, and those that look back on it. -#}
{% macro scope_touched_kpi_days() -%}
  {{ in_spans('period_start', shifted_spans(touched_sales_days(), [0, 7, 364])) }}
{%- endmacro %}

{#-
  The UTC days (spans) of every hour that a row of a fact that this build changed has or ever had; none
  of a fact that is not there yet, as when docs are made of a lake in which few models were built.
-#}
{% macro touched_fact_days(fact, rows='true') -%}
  {%- if load_relation(fact) is none -%}{{ return([]) }}{%- endif -%}
  {{ return(days_of(
    'cast(touched_hour as date)',
    "(select " ~ exploded_hours('_touched_hours') ~ " as touched_hour from " ~ fact
    ~ " where " ~ in_hours('_hour') ~ " and " ~ rows ~ ")"
  )) }}
{%- endmacro %}

{% macro touched_sales_days() -%}{{ return(touched_fact_days(ref('fct_sales'))) }}{%- endmacro %}

{#- The UTC days (spans) of every hour that a sale or an ad hour changed by this build has or ever had. -#}
{% macro touched_days() -%}
  {{ return(united_spans(touched_sales_days() + touched_fact_days(ref('fct_marketing_spend')))) }}
{%- endmacro %}

{% macro scope_touched_days() -%}
  {{ in_spans('period_start', touched_attribution_days()) }}
{%- endmacro %}

{% macro scope_touched_stock_days() -%}
  {{ date_in_spans('stock_date', touched_stock_days()) }}
{%- endmacro %}

{#-
  The days (spans) whose turnover this hour's build can have changed: its own day, days whose stock it
  wrote, days since the earliest end of a stock version that it closed (rows that are gone leave no
  other trace), and the days that look back on a changed sale.
-#}
{% macro touched_stock_days() -%}
  {%- set sold = touched_fact_days(ref('fct_sales'), "source = 'sales'") -%}
  {{ return(united_spans(
    hours_days()
    + days_of('stock_date', ref('fct_stock_level') ~ ' where ' ~ in_hours('_hour'))
    + day_spans(
      "select min(cast(valid_to as date)) as first_day, cast(" ~ end_of_time() ~ " as date) as last_day from "
      ~ source('silver', 'stock_levels') ~ " where " ~ in_hours('_hour') ~ " and valid_to is not null"
    )
    + widened_spans(sold, 0, var('turnover_days') - 1)
  )) }}
{%- endmacro %}
