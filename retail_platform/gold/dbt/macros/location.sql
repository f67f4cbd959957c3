{#-
  Where a Gold table lies: <RETAIL_GOLD_ROOT>/<model>. Read when a table is made and not in
  dbt_project.yml, where another lake would make dbt parse the whole project again.
-#}
{% macro spark__location_clause() %}
  {%- set root = config.get('location_root') or env_var('RETAIL_GOLD_ROOT') %}
  location '{{ root }}/{{ model['alias'] }}'
{%- endmacro %}
