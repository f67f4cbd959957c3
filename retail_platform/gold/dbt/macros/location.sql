{#-
  Where a Gold table lies: <RETAIL_GOLD_ROOT>/<model>. Read when a table is made and not in
  dbt_project.yml, where another lake would make dbt parse the whole project again.
-#}
{% macro spark__location_clause() %}
  {%- set root = config.get('location_root') or env_var('RETAIL_GOLD_ROOT') %}
  location '{{ root }}/{{ model['alias'] }}'
{%- endmacro %}

{#-
  A full refresh may bring other columns than the stored table has. Sail replaces a table's rows but
  keeps its columns unless asked; nothing is asked where there is no table yet.
-#}
{% macro spark__options_clause() -%}
  {%- if execute and load_relation(this) is not none -%}
  options ('overwriteSchema' = 'true')
  {%- endif -%}
{%- endmacro %}
