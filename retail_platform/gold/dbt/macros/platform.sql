{#-
  What the platform tells of itself: of which loads, and from which day on an hour's copy of the
  ledger can have changed it.
-#}

{#-
  Attempts to load an hour. The ledger has others, which belong to the hour in which they ran:
  versions that were restored, and micro-batches of live tables.
-#}
{% macro layer_of_hours(loads='') -%}
  {{ loads ~ '.' if loads }}layer in ('bronze', 'silver', 'gold')
{%- endmacro %}

{#-
  The day of the last hour before the earliest one that the copy wrote: hours without any load lie
  after it, and a table that is older than it was thought to be is expected in every hour since.
-#}
{% macro first_touched_platform_day() -%}
  select cast(coalesce(max(earlier.hour), changed.first_hour) as date)
  from (
    select min(hour) as first_hour
    from {{ source('platform', 'platform__loads') }}
    where {{ layer_of_hours() }} and {{ in_hours('_hour') }}
  ) as changed
  left join {{ source('platform', 'platform__loads') }} as earlier
    on earlier.hour < changed.first_hour and {{ layer_of_hours('earlier') }}
  group by changed.first_hour
{%- endmacro %}

{% macro scope_touched_platform_days() -%}
  cast(period_start as date) >= ({{ first_touched_platform_day() }})
{%- endmacro %}
