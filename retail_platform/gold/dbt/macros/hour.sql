{#-
  Which hours a build is for, and whether a model replaces a scope or is built whole.

  The hours come from the variable `hour` or, so that dbt's partial parse survives from hour to hour
  (a changed --vars makes dbt parse the whole project again), from RETAIL_HOUR. Both read
  'YYYY-MM-DD HH:00:00', the UTC start of the partition hour; a backfill names several, with commas.
-#}

{#- The hours of this build as text, in order; none while dbt parses or if none was given. -#}
{% macro hours() -%}
  {%- set given = (var('hour', none) or env_var('RETAIL_HOUR', '')) if execute else '' -%}
  {{- return(given.split(',') | map('trim') | select | sort) -}}
{%- endmacro %}

{#- The hours as a list of SQL literals. -#}
{% macro hour_literals() -%}
  {%- for hour in hours() %}timestamp'{{ hour }}+00:00'{{ ', ' if not loop.last }}{% endfor -%}
{%- endmacro %}

{% macro hours_array() -%}array({{ hour_literals() }}){%- endmacro %}

{#-
  Predicate: the column lies in the hours of this build. By a list of more than twenty values Sail
  (DataFusion) skips no files, by its ends it does.
-#}
{% macro in_hours(column) -%}
  {%- if hours() | length > 20 -%}
  ({{ column }} >= timestamp'{{ hours() | first }}+00:00' and {{ column }} <= timestamp'{{ hours() | last }}+00:00' and {{ column }} in ({{ hour_literals() }}))
  {%- else -%}
  {{ column }} in ({{ hour_literals() }})
  {%- endif -%}
{%- endmacro %}

{#- True when the model replaces only what the hours touched; false when it is built whole. -#}
{% macro is_hourly() -%}
  {%- if not execute or should_full_refresh() or load_relation(this) is none -%}
    {{- return(false) -}}
  {%- endif -%}
  {%- if not hours() -%}
    {{- exceptions.raise_compiler_error(
      "gold." ~ this.identifier ~ ": the table is there, but no hour was given. Pass --vars "
      ~ "'{hour: \"YYYY-MM-DD HH:00:00\"}' (or RETAIL_HOUR) for one hour, or --full-refresh "
      ~ "to rebuild the table whole."
    ) -}}
  {%- endif -%}
  {{- return(true) -}}
{%- endmacro %}

{#-
  The technical column _hour: the (last) hour of the build that last changed the row. A table that is
  built whole within an hour's build carries that hour, so that what depends on it is recomputed with
  it; a full refresh keeps the hour of the rows that it was made of.
-#}
{% macro changed_hour(of_inputs) -%}
  {%- if hours() and not should_full_refresh() -%}
    timestamp'{{ hours() | last }}+00:00'
  {%- else -%}
    {{ of_inputs }}
  {%- endif -%}
{%- endmacro %}
