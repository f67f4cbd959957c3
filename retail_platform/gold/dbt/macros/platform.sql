{#-
  What the platform tells of itself: from which day on an hour's copy of the ledger can have changed it.
-#}

{#-
  The day of the last hour before the earliest one that the copy wrote: hours without any load lie
  after it, and a table that is older than it was thought to be is expected in every hour since.
-#}
{% macro first_touched_platform_day() -%}
  select cast(coalesce(max(earlier.hour), changed.first_hour) as date)
  from (
    select min(hour) as first_hour from {{ source('platform', 'platform__loads') }} where {{ in_hours('_hour') }}
  ) as changed
  left join {{ source('platform', 'platform__loads') }} as earlier on earlier.hour < changed.first_hour
  group by changed.first_hour
{%- endmacro %}

{% macro scope_touched_platform_days() -%}
  cast(period_start as date) >= ({{ first_touched_platform_day() }})
{%- endmacro %}
