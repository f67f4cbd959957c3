{#-
  The bounds of time: the first version of a member is valid from the one, the last until the other.
  Not the usual 9999-12-31: Spark's default Parquet timestamps and pandas count nanoseconds, which
  end in 2262.
-#}
{% macro beginning_of_time() -%}timestamp'1900-01-01 00:00:00+00:00'{%- endmacro %}
{% macro end_of_time() -%}timestamp'2200-01-01 00:00:00+00:00'{%- endmacro %}

{#- The UTC start of an hour that a source counts on a local calendar. -#}
{% macro local_hour_to_utc(local_date, local_hour, zone) -%}
  to_utc_timestamp(timestampadd(hour, {{ local_hour }}, cast({{ local_date }} as timestamp)), {{ zone }})
{%- endmacro %}

{#-
  Sets of hours are kept as text, hours in order with commas between: Sail cannot register a stored
  table that has an array column.
-#}
{% macro hour_set(moment) -%}
  date_format(date_trunc('hour', {{ moment }}), 'yyyy-MM-dd HH:mm:ss')
{%- endmacro %}

{% macro united_hours(old, new) -%}
  array_join(array_sort(array_distinct(concat(
    split(coalesce({{ old }}, {{ new }}), ','), split({{ new }}, ',')
  ))), ',')
{%- endmacro %}

{% macro exploded_hours(hours) -%}
  explode(cast(split({{ hours }}, ',') as array<timestamp>))
{%- endmacro %}
