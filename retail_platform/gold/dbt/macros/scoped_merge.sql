{#-
  The materialization of every Gold table: replace a *scope* of rows atomically, rewrite nothing
  that is unchanged.

  Config:
    unique_key    the one column that identifies a row
    scope         name of a macro (scopes.sql) that gives a predicate over the table's own columns:
                  rows that satisfy it and that the model no longer yields are deleted. Without it
                  nothing is ever deleted.
    accumulate    columns of hours (see time.sql) that keep every hour they ever had
    partition_by  a text column: only partitions in which a row was or will be are read and merged
    sought_by     columns that the key alone decides and that grow with time, such as the number of an
                  order; a row has one of them. The stored rows are sought where those of the rows
                  lie that the model yields: in spans of whole numbers and days; of texts, between
                  the least and the greatest of a partition

  In an hour's build the model yields the rows that the hour touched. They are compared with the
  stored rows in a full outer join; only real changes reach the MERGE. Columns that begin with `_`
  are technical: they follow a change but never make one. So a second build of an hour changes no
  row and makes no commit.

  The changes are written down before they are merged: a MERGE reads its source twice, and Sail 0.7.2
  has doubled a table's rows when the source was a query over that very table.
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
    {#- Not the adapter's own way: of a partitioned table it finds no columns on Sail. -#}
    {%- set stored = adapter.get_column_schema_from_query("select * from " ~ existing ~ " limit 0") -%}
    {%- do assert_columns_documented(stored) -%}
    {%- set columns = stored | map(attribute='name') | list -%}
    {%- do assert_partitioned() -%}
    {%- set fresh = '(' ~ sql ~ ')' -%}
    {%- set partitions = none -%}
    {%- if config.get('partition_by') -%}
      {%- set fresh = staged_relation('fresh') -%}
      {%- call statement('fresh') -%}{{ stage_sql(fresh, sql) }}{%- endcall -%}
      {%- set partitions = touched_partitions(target_relation, fresh) -%}
    {%- endif -%}
    {%- set changes = staged_relation('changes') -%}
    {%- call statement('changes') -%}
      {{ stage_sql(changes, changes_sql(target_relation, fresh, columns, partitions)) }}
    {%- endcall -%}
    {%- call statement('main', fetch_result=True) -%}select count(*) from {{ changes }}{%- endcall -%}
    {%- if load_result('main')['data'][0][0] > 0 -%}
      {%- call statement('main') -%}
        {{ scoped_merge_sql(target_relation, changes, columns, partitions) }}
      {%- endcall -%}
    {%- endif -%}
    {%- call statement('drop') -%}drop table {{ changes }}{%- endcall -%}
    {%- if partitions is not none -%}
      {%- call statement('drop') -%}drop table {{ fresh }}{%- endcall -%}
    {%- endif -%}
  {%- endif -%}
  {{ run_hooks(post_hooks) }}
  {{ return({'relations': [target_relation]}) }}
{% endmaterialization %}

{#- A table of this build alone; its folder, RETAIL_STAGING, is removed when the build ends. -#}
{% macro staged_relation(part) -%}
  {{ return(this.incorporate(path={'identifier': '__' ~ part ~ '_' ~ this.identifier}, type='table')) }}
{%- endmacro %}

{% macro stage_sql(relation, query) %}
  create or replace table {{ relation }} using delta
  {{ tblproperties_clause() }}
  location '{{ env_var('RETAIL_STAGING') }}/{{ relation.identifier }}'
  as {{ query }}
{% endmacro %}

{#- The partitions in which rows of this build will be or now are; never empty. -#}
{% macro touched_partitions(target, fresh) %}
  {%- set partition = config.get('partition_by') -%}
  {%- set key = config.require('unique_key') -%}
  {%- if config.get('scope') -%}
    {%- set stored = context[config.get('scope')]() -%}
  {%- else -%}
    {%- set stored = key ~ " in (select " ~ key ~ " from " ~ fresh ~ ")" ~ sought_between(fresh) -%}
  {%- endif -%}
  {%- set found = run_query(
    "select distinct " ~ partition ~ " from " ~ fresh
    ~ " union select distinct " ~ partition ~ " from " ~ target ~ " where " ~ stored
  ) -%}
  {{ return((found.columns[0].values() | list) or ['']) }}
{% endmacro %}

{#- Predicate, to be added: where a stored row can lie that the rows of this build replace. -#}
{% macro sought_between(fresh) -%}
  {%- set places = [] -%}
  {%- for column in config.get('sought_by') or [] -%}
    {%- set type = model.columns[column].data_type -%}
    {%- if type == 'bigint' -%}
      {%- do places.append(id_in_spans(column, id_spans("select " ~ column ~ " as id from " ~ fresh))) -%}
    {%- elif type == 'date' -%}
      {%- do places.append(date_in_spans(column, days_of(column, fresh))) -%}
    {%- else -%}
      {%- do places.append(text_between(column, fresh, config.get('partition_by'))) -%}
    {%- endif -%}
  {%- endfor -%}
  {%- if places %} and ({{ places | join(' or ') }}){%- endif -%}
{%- endmacro %}

{#- Predicate: the row lies in one of the partitions; true for a table without any. -#}
{% macro in_partitions(alias, partitions) -%}
  {%- if partitions is none -%}true
  {%- else -%}{{ alias }}.{{ config.get('partition_by') }} in ('{{ partitions | join("', '") }}')
  {%- endif -%}
{%- endmacro %}

{#-
  A table that was made by an older version of its model has other columns, or of other types, which
  a MERGE would cast to silently: say so before merging.
-#}
{% macro assert_columns_documented(columns) %}
  {%- set stored = [] -%}
  {%- for column in columns -%}
    {%- do stored.append(column.name ~ ' ' ~ column.dtype | lower) -%}
  {%- endfor -%}
  {%- set documented = [] -%}
  {%- for column in model.columns.values() -%}
    {%- do documented.append(column.name ~ ' ' ~ column.data_type | lower | replace(' ', '')) -%}
  {%- endfor -%}
  {%- if documented | sort != stored | sort -%}
    {%- do exceptions.raise_compiler_error(
      "gold." ~ this.identifier ~ " has the columns [" ~ stored | reject('in', documented) | sort | join(', ')
      ~ "] where the model documents [" ~ documented | reject('in', stored) | sort | join(', ')
      ~ "]. Rebuild it: dbt build --full-refresh --select " ~ model.fqn | join('.') ~ "+"
    ) -%}
  {%- endif -%}
{% endmacro %}

{#- So has one that was made before its model named a partition: every merge would read all of it. -#}
{% macro assert_partitioned() %}
  {%- set stored = fromjson(env_var('RETAIL_STORED_PARTITIONS', '{}')).get(this.identifier) -%}
  {%- set named = [config.get('partition_by')] if config.get('partition_by') else [] -%}
  {%- if stored is not none and stored != named -%}
    {%- do exceptions.raise_compiler_error(
      "gold." ~ this.identifier ~ " is stored with partitions by " ~ (stored | join(', ') or 'nothing')
      ~ " but its model wants them by " ~ (named | join(', ') or 'nothing')
      ~ ". Rebuild it: dbt build --full-refresh --select " ~ model.fqn | join('.') ~ "+"
    ) -%}
  {%- endif -%}
{% endmacro %}

{#- One row per row to insert, update or delete (`__gone`). -#}
{% macro changes_sql(target, fresh, columns, partitions) %}
  {%- set key = config.require('unique_key') -%}
  {%- set scope = context[config.get('scope')]() if config.get('scope') else none -%}
  {%- set accumulate = config.get('accumulate') or [] -%}
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
  from {{ fresh }} as fresh
  {{ 'full' if scope else 'left' }} outer join (
    select * from {{ target }} as stored
    where {{ in_partitions('stored', partitions) }} {% if scope %} and ({{ scope }}) {% endif %}
  ) as kept on kept.{{ key }} = fresh.{{ key }}
  where kept.{{ key }} is null or fresh.{{ key }} is null
    {%- for column in columns if column != key and not column.startswith('_') %}
    or fresh.{{ column }} is distinct from kept.{{ column }}
    {%- endfor %}
{% endmacro %}

{% macro scoped_merge_sql(target, changes, columns, partitions) %}
  {%- set key = config.require('unique_key') -%}
  merge into {{ target }} as stored
  using {{ changes }} as change
  on stored.{{ key }} = change.{{ key }} and {{ in_partitions('stored', partitions) }}
  when matched and change.__gone then delete
  when matched then update set
    {%- for column in columns if column != key %}
    {{ column }} = change.{{ column }}{{ ',' if not loop.last }}
    {%- endfor %}
  when not matched and not change.__gone then insert ({{ columns | join(', ') }})
    values ({% for column in columns %}change.{{ column }}{{ ', ' if not loop.last }}{% endfor %})
{% endmacro %}
