{#-
  How far the calendars reach: so many years beyond that of the last hour that is built or, where none
  is given, was ever loaded. They grow by whole years and are otherwise left alone.
-#}
{% macro calendar_end(years_ahead) -%}
  {%- if hours() -%}
    date'{{ (hours() | last)[:4] | int + years_ahead }}-12-31'
  {%- else -%}
    (select make_date(coalesce(year(max(_hour)), {{ var('hour_calendar_start')[:4] }}) + {{ years_ahead }}, 12, 31)
    from {{ source('silver', 'orders') }})
  {%- endif -%}
{%- endmacro %}

{#- Where dim_hour begins: on its first day, or with the year of an older hour that is built or was loaded. -#}
{% macro hour_calendar_begin() -%}
  {%- set first_day = "date'" ~ var('hour_calendar_start') ~ "'" -%}
  {%- if hours() -%}
    least({{ first_day }}, date'{{ (hours() | first)[:4] }}-01-01')
  {%- else -%}
    (select least({{ first_day }}, coalesce(make_date(year(min(_hour)), 1, 1), {{ first_day }}))
    from {{ source('silver', 'orders') }})
  {%- endif -%}
{%- endmacro %}

{#- Whether a calendar already reaches so far, and so far back: then an hour's build has nothing to do. -#}
{% macro calendar_is_complete(column, years_ahead, begin=none) -%}
  {%- if not execute or should_full_refresh() or load_relation(this) is none -%}
    {{ return(false) }}
  {%- endif -%}
  {%- set reached = run_query(
    "select coalesce(max(cast(" ~ column ~ " as date)) >= " ~ calendar_end(years_ahead)
    ~ (" and min(cast(" ~ column ~ " as date)) <= " ~ begin if begin else "") ~ ", false) from " ~ this
  ).rows[0][0] -%}
  {{ return(reached) }}
{%- endmacro %}

{#- Whether there are stores in a time zone that dim_hour does not know yet. -#}
{% macro zones_are_missing() -%}
  {%- set missing = run_query(
    "select count(*) from " ~ ref('dim_store') ~ " where time_zone not in (select distinct time_zone from " ~ this ~ ")"
  ).rows[0][0] -%}
  {{ return(missing > 0) }}
{%- endmacro %}
