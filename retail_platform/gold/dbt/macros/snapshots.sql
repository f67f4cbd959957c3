{#-
  dbt's staging table of a snapshot, written down: the adapter's own is a view over the snapshot that
  is merged into, and Sail 0.7.2 has doubled a table's rows when a MERGE's source read its target
  (see scoped_merge.sql). The materialization calls this macro by its name, so it replaces the
  adapter's. Its folder is removed when the build ends.
-#}
{% macro spark_build_snapshot_staging_table(strategy, sql, target_relation) -%}
  {%- set staged = staged_relation('snapshot') -%}
  {%- call statement('build_snapshot_staging_relation') -%}
    {{ stage_sql(staged, snapshot_staging_table(strategy, sql, target_relation)) }}
  {%- endcall -%}
  {{ return(staged) }}
{%- endmacro %}
