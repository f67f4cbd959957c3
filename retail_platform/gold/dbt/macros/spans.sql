{#-
  Days and ids that an hour touched, told to a model as literals. An engine skips partitions and files
  by their statistics only where it is told a literal; against a subquery it reads the whole table,
  and every hour costs more than the one before. So a model asks for the days or ids first.

  Spans are pairs of whole numbers, both included: in order, and apart. Days are counted since
  1970-01-01. Here belong asking, widening and telling them, and texts, which are told by their ends.
  Not here: which days and ids (`touched_facts`, `visits`, `scopes`, `attribution`).
-#}

{#- The spans of a query's columns first_day and last_day, which are dates; rows with NULL are left out. -#}
{% macro day_spans(query) -%}
  {%- set found = [] -%}
  {%- for row in run_query(
    "select distinct unix_date(first_day) as first_day, unix_date(last_day) as last_day from (" ~ query ~ ")"
    ~ " where first_day is not null and last_day is not null"
  ).rows -%}
    {%- do found.append([row[0] | int, row[1] | int]) -%}
  {%- endfor -%}
  {{ return(united_spans(found)) }}
{%- endmacro %}

{#-
  The spans of a query's column id, a whole number; NULL is left out. There are no more than twenty,
  parted where the ids lie furthest apart: a row is compared with every span.
-#}
{% macro id_spans(ids) -%}
  {%- set found = [] -%}
  {%- for row in run_query(
    "select id, previous_id, last_id from ("
    ~ "select id, lag(id) over (order by id) as previous_id, max(id) over () as last_id from ("
    ~ "select distinct id from (" ~ ids ~ ") where id is not null))"
    ~ " order by previous_id is not null, id - previous_id desc, id limit 20"
  ).rows -%}
    {%- do found.append([row[0] | int, row[1], row[2] | int]) -%}
  {%- endfor -%}
  {%- set parts = found | sort -%}
  {%- set spans = [] -%}
  {%- for first, _, last in parts -%}
    {%- do spans.append([first, last if loop.last else parts[loop.index][1] | int]) -%}
  {%- endfor -%}
  {{ return(united_spans(spans)) }}
{%- endmacro %}

{#- The spans of the dates that one expression takes in a query's rows. -#}
{% macro days_of(date, rows) -%}
  {{ return(day_spans("select " ~ date ~ " as first_day, " ~ date ~ " as last_day from " ~ rows)) }}
{%- endmacro %}

{#- The days of the build's hours. -#}
{% macro hours_days() -%}
  {%- set found = [] -%}
  {%- for hour in hours() -%}
    {%- set day = modules.datetime.date.fromisoformat(hour[:10]).toordinal() - 719163 -%}
    {%- do found.append([day, day]) -%}
  {%- endfor -%}
  {{ return(united_spans(found)) }}
{%- endmacro %}

{#- Spans in any order as spans. -#}
{% macro united_spans(spans) -%}
  {%- set united = [] -%}
  {%- for first, last in spans | sort -%}
    {%- if united and first <= united[-1][1] + 1 -%}
      {%- set before = united.pop() -%}
      {%- do united.append([before[0], [before[1], last] | max]) -%}
    {%- else -%}
      {%- do united.append([first, last]) -%}
    {%- endif -%}
  {%- endfor -%}
  {{ return(united) }}
{%- endmacro %}

{#- The spans with so many days before and after them. -#}
{% macro widened_spans(spans, before, after) -%}
  {%- set wider = [] -%}
  {%- for first, last in spans -%}
    {%- do wider.append([first - before, last + after]) -%}
  {%- endfor -%}
  {{ return(united_spans(wider)) }}
{%- endmacro %}

{#- The days that lie one of `shifts` days after those of the spans. -#}
{% macro shifted_spans(spans, shifts) -%}
  {%- set shifted = [] -%}
  {%- for first, last in spans -%}
    {%- for shift in shifts -%}
      {%- do shifted.append([first + shift, last + shift]) -%}
    {%- endfor -%}
  {%- endfor -%}
  {{ return(united_spans(shifted)) }}
{%- endmacro %}

{#- A day as text; what lies beyond the years that SQL can name is the last day of them. -#}
{% macro _day_text(day) -%}
  {{ return(modules.datetime.date.fromordinal([[day + 719163, 1] | max, 3652059] | min) | string) }}
{%- endmacro %}

{#-
  What predicates say where there are no spans: 1 January 1900, and as an id one that nothing has. Of
  a `false` Sail 0.7.2 makes an inner or one-sided join of the comparison with stored rows, and notes
  columns of what it stages as never NULL; a later build that stages in the same folder then fails
  where a row is gone.
-#}
{% macro nothing_there() -%}{{ return([[-25567, -25567]]) }}{%- endmacro %}

{#- Predicate: the id lies in the spans. -#}
{% macro id_in_spans(column, spans) -%}
  (
  {%- for first, last in spans or nothing_there() %}
    {{ 'or ' if not loop.first }}({{ column }} >= {{ first }} and {{ column }} <= {{ last }})
  {%- endfor -%}
  )
{%- endmacro %}

{#- Predicate: the date lies in the spans. -#}
{% macro date_in_spans(column, spans) -%}
  (
  {%- for first, last in spans or nothing_there() %}
    {{ 'or ' if not loop.first }}({{ column }} >= date'{{ _day_text(first) }}' and {{ column }} <= date'{{ _day_text(last) }}')
  {%- endfor -%}
  )
{%- endmacro %}

{#- Predicate: the moment lies in the spans. -#}
{% macro in_spans(moment, spans) -%}{{ overlaps_spans(moment, moment, spans) }}{%- endmacro %}

{#- Predicate: what lasts from the first moment to the last lies in part in the spans. -#}
{% macro overlaps_spans(first_moment, last_moment, spans) -%}
  (
  {%- for first, last in spans or nothing_there() %}
    {{ 'or ' if not loop.first }}({{ last_moment }} >= {{ _midnight(first) }} and {{ first_moment }} < {{ _midnight(last + 1) }})
  {%- endfor -%}
  )
{%- endmacro %}

{% macro _midnight(day) -%}timestamp'{{ _day_text(day) }} 00:00:00+00:00'{%- endmacro %}

{#- Predicate: the text lies between the least and the greatest of a group of the rows. -#}
{% macro text_between(column, rows, group) -%}
  (
  {%- for ends in run_query(
    "select min(" ~ column ~ "), max(" ~ column ~ ") from " ~ rows ~ " where " ~ column ~ " is not null group by " ~ group
  ).rows %}
    {{ 'or ' if not loop.first }}({{ column }} >= {{ text_literal(ends[0]) }} and {{ column }} <= {{ text_literal(ends[1]) }})
  {%- else %}{{ column }} < ''
  {%- endfor -%}
  )
{%- endmacro %}

{% macro text_literal(text) -%}'{{ text | replace("\\", "\\\\") | replace("'", "\\'") }}'{%- endmacro %}
