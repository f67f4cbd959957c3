{#-
  How far the calendars reach. They follow the hours that are built and never shrink, so they need no
  table of the lake: what is blocked elsewhere does not block them. A calendar that is made where no
  hour is given reaches as far as the clock.
-#}

{#- First and last day that the stored calendar holds, as text; none where there is none. -#}
{% macro calendar_reach(column) -%}
  {%- if not execute or load_relation(this) is none -%}
    {{ return(none) }}
  {%- endif -%}
  {%- set days = run_query(
    "select min(cast(" ~ column ~ " as date)) as first, max(cast(" ~ column ~ " as date)) as last from " ~ this
  ).rows[0] -%}
  {{ return(none if days[0] is none else [days[0] | string, days[1] | string]) }}
{%- endmacro %}

{#-
  First and last day that it must hold, as text.

  start        its first day at the latest
  years_ahead  years beyond that of the last hour
  backward     whether it also begins with the year of an hour that is older than its first day
-#}
{% macro calendar_span(reach, start, years_ahead, backward=false) -%}
  {%- set given = hours() or [run_started_at.strftime('%Y-%m-%d')] -%}
  {%- set begins = [start] + ([given[0][:4] ~ '-01-01'] if backward else []) + (reach[:1] if reach else []) -%}
  {%- set ends = [(given[-1][:4] | int + years_ahead) ~ '-12-31'] + (reach[1:] if reach else []) -%}
  {{ return([begins | min, ends | max]) }}
{%- endmacro %}

{#- Whether an hour's build has nothing to add to it. -#}
{% macro calendar_is_complete(reach, span) -%}
  {{ return(execute and not should_full_refresh() and reach is not none and reach[0] <= span[0] and reach[1] >= span[1]) }}
{%- endmacro %}

{#- Whether there are stores in a time zone that dim_hour does not know yet. -#}
{% macro zones_are_missing() -%}
  {%- set missing = run_query(
    "select count(*) from " ~ ref('dim_store') ~ " where time_zone not in (select distinct time_zone from " ~ this ~ ")"
  ).rows[0][0] -%}
  {{ return(missing > 0) }}
{%- endmacro %}
