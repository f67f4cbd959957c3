{#-
  The name of a model's table: the latest version has the model's own, so that its readers find it
  where it was; any other has dbt's, `<model>_v<version>`. Dagster's assets are named alike.
-#}
{% macro generate_alias_name(custom_alias_name=none, node=none) -%}
  {%- if node.version and node.version == node.latest_version -%}{{ node.name }}
  {%- else -%}{{ dbt.default__generate_alias_name(custom_alias_name, node) }}
  {%- endif -%}
{%- endmacro %}
