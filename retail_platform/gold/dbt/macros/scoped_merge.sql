{#-
  The materialization of every Gold table: replace a *scope* of rows atomically, rewrite nothing
  that is unchanged.

  Config:
    unique_key  the one column that identifies a row
    scope       name of a macro (scopes.sql) that gives a predicate over the table's own columns: rows
                that satisfy it and that the model no longer yields are deleted. Without it nothing
                is ever deleted.
    accumulate  columns of hours (see time.sql) that keep every hour they ever had

  In an hour's build the model yields the rows that the hour touched. They are compared with the
  stored rows once, in a full outer join; only real changes reach the MERGE. Columns that begin with
  `_` are technical: they follow a change but never make one. So a second build of an hour changes
  no row, and makes no commit where the engine skips empty ones (Sail does).
-#}
{% materialization scoped_merge, default %}
  {%- set target_relation = this.incorporate(type='table') -%}
  {%- set existing = load_relation(this) -%}
  {{ run_hooks(pre_hooks) }}
  {%- if existing is none or should_full_refresh() -%}
    {%- call statement('main') -%}
      {{ create_table_as(False, target_relation, sql) }}
    {%- endcall -%}
  {%- else -%}
    {%- set columns = adapter.get_columns_in_relation(existing) | map(attribute='name') | list -%}
    {%- do assert_columns_documented(columns) -%}
    {%- call statement('main') -%}
      {{ scoped_merge_sql(target_relation, sql, columns) }}
    {%- endcall -%}
  {%- endif -%}
  {{ run_hooks(post_hooks) }}
  {{ return({'relations': [target_relation]}) }}
{% endmaterialization %}

{#- A table that was made by an older version of its model has other columns: say so before merging. -#}
{% macro assert_columns_documented(columns) %}
  {%- set documented = model.columns.keys() | list -%}
  {%- if documented | sort != columns | sort -%}
    {%- do exceptions.raise_compiler_error(
      "gold." ~ this.identifier ~ " has the columns " ~ columns | sort | join(', ')
      ~ " but the model documents " ~ documented | sort | join(', ')
      ~ ". Rebuild it: dbt build --full-refresh --select " ~ this.identifier ~ "+"
    ) -%}
  {%- endif -%}
{% endmacro %}

{% macro scoped_merge_sql(target, sql, columns) %}
  {%- set key = config.require('unique_key') -%}
  {%- set scope = context[config.get('scope')]() if config.get('scope') else none -%}
  {%- set accumulate = config.get('accumulate') or [] -%}
  merge into {{ target }} as stored
  using (
    select
      coalesce(fresh.{{ key }}, kept.{{ key }}) as {{ key }},
      {%- for column in columns if column != key %}
      {% if column in accumulate -%}
      {{ united_hours('kept.' ~ column, 'fresh.' ~ column) }} as {{ column }},
      {%- else -%}
      fresh.{{ column }},
      {%- endif %}
      {%- endfor %}
      fresh.{{ key }} is null as __gone
    from (
      {{ sql }}
    ) as fresh
    {{ 'full' if scope else 'left' }} outer join (
      select * from {{ target }} {% if scope %} where {{ scope }} {% endif %}
    ) as kept on kept.{{ key }} = fresh.{{ key }}
    where kept.{{ key }} is null or fresh.{{ key }} is null
      {%- for column in columns if column != key and not column.startswith('_') %}
      or fresh.{{ column }} is distinct from kept.{{ column }}
      {%- endfor %}
  ) as change
  on stored.{{ key }} = change.{{ key }}
  when matched and change.__gone then delete
  when matched then update set
    {%- for column in columns if column != key %}
    {{ column }} = change.{{ column }}{{ ',' if not loop.last }}
    {%- endfor %}
  when not matched and not change.__gone then insert ({{ columns | join(', ') }})
    values ({% for column in columns %}change.{{ column }}{{ ', ' if not loop.last }}{% endfor %})
{% endmacro %}
