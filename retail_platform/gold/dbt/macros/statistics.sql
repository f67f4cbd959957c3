{#-
  Columns of Gold tables that keep file statistics: keys and times, by which rows are looked for.
  Sail 0.7.2 would read a decimal of more than 15 digits from the statistics of a file in which it
  is the only value, as a double. Source of the property:
  https://docs.delta.io/latest/table-properties.html
-#}
{% macro spark__tblproperties_clause() -%}
  {%- set indexed = [] -%}
  {%- for column in model.columns if column in (config.get('sought_by') or []) or column.endswith(('_key', '_id', '_hour', '_at', '_date', '_from', '_to')) -%}
    {%- do indexed.append('`' ~ column ~ '`') -%}
  {%- endfor -%}
  tblproperties ('delta.dataSkippingStatsColumns' = '{{ indexed | join(",") }}')
{%- endmacro %}
