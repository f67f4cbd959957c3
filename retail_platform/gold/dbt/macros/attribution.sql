{#- Whose sale it is: the words of the rule stand in mart_attributed_sales. -#}

{#- Predicate: a click that can have led to an order. -#}
{% macro is_click_before(clicked_at, ordered_at) -%}
  {{ clicked_at }} <= {{ ordered_at }}
  and {{ clicked_at }} > timestampadd(day, -{{ var('attribution_days') }}, {{ ordered_at }})
{%- endmacro %}

{#-
  The part of an amount (four decimals) that falls to a weight, where the weights of its group add up
  to `total` and those before it and its own to `reached`. Parts are differences of rounded running
  sums: together they are the amount, to the last digit.
-#}
{% macro part_of(amount, weight, reached, total) -%}
  {%- set units = "cast(cast(" ~ amount ~ " * cast(10000 as decimal(5, 0)) as bigint) as double)" -%}
  cast(cast(
    floor({{ units }} * (cast({{ reached }} as double) / {{ total }}) + cast(0.5 as double))
    - floor({{ units }} * (cast({{ reached }} - {{ weight }} as double) / {{ total }}) + cast(0.5 as double))
  as decimal(19, 0)) * cast('0.0001' as decimal(5, 4)) as decimal(19, 4))
{%- endmacro %}

{#- The UTC days (spans) whose attribution an hour's build can change: of sales, spend, clicks of orders. -#}
{% macro touched_attribution_days() -%}
  {{ return(united_spans(
    touched_days() + days_of('ordered_date', ref('fct_order_click') ~ ' where ' ~ in_hours('_hour'))
  )) }}
{%- endmacro %}

{% macro scope_touched_attribution() -%}
  {{ date_in_spans('sold_date', touched_attribution_days()) }}
{%- endmacro %}

{#- One kind of movement of a period: its own measures, and zero for those of the other kinds. -#}
{% macro movement(counts, amounts, measures) -%}
  {%- for name in counts %}
    cast({{ measures[name] or 0 }} as bigint) as {{ name }},
  {%- endfor %}
  {%- for name in amounts %}
    cast({{ measures[name] or 0 }} as decimal(19, 4)) as {{ name }},
  {%- endfor %}
    max(_hour) as _hour
{%- endmacro %}

{% macro sum_where(amount, condition) -%}
  sum(case when {{ condition }} then {{ amount }} else cast(0 as decimal(19, 4)) end)
{%- endmacro %}
