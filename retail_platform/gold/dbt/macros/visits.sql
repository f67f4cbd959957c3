{#-
  Visits of the web shop: who a visitor is, and which of their visits an hour's events can change.
-#}

{#- The device that visits; where it names itself to nobody, the session as the shop counts it. -#}
{% macro visitor_id(event) -%}
  coalesce({{ event }}.client_id, concat('session:', {{ event }}.session_id))
{%- endmacro %}

{#- Predicate: two moments (the first not after the second) lie in one visit. -#}
{% macro within_a_visit(first, second) -%}
  {{ first }} >= timestampadd(minute, -{{ var('session_gap_minutes') }}, {{ second }})
{%- endmacro %}

{#- The days (spans) of the events that came, or were taken back, in the hour. -#}
{% macro touched_event_days() -%}
  {{ return(days_of('cast(occurred_at as date)', source('silver', 'web_events') ~ ' where ' ~ in_hours('_hour'))) }}
{%- endmacro %}

{#-
  Visitors with the span of each in which their visits are told anew: that of a day's events of the
  hour, and of every known visit that they can join or split. No visit beyond it is near enough to
  change.

  visits      the table of visits
  event_days  touched_event_days()
-#}
{% macro touched_visits(visits, event_days) -%}
  {%- set gap_days = (var('session_gap_minutes') / 1440) | round(0, 'ceil') | int %}
  select
    touched.visitor_id,
    least(touched.first_at, coalesce(min(known.started_at), touched.first_at)) as from_at,
    greatest(touched.last_at, coalesce(max(known.ended_at), touched.last_at)) as to_at
  from (
    select {{ visitor_id('event') }} as visitor_id, min(event.occurred_at) as first_at, max(event.occurred_at) as last_at
    from {{ source('silver', 'web_events') }} as event
    where {{ in_hours('event._hour') }}
    group by {{ visitor_id('event') }}, cast(event.occurred_at as date)
  ) as touched
  left join (
    select visitor_id, started_at, ended_at from {{ visits }}
    where {{ overlaps_spans('started_at', 'ended_at', widened_spans(event_days, gap_days, gap_days)) }}
  ) as known
    on known.visitor_id = touched.visitor_id
    and {{ within_a_visit('known.ended_at', 'touched.first_at') }}
    and {{ within_a_visit('touched.last_at', 'known.started_at') }}
  group by touched.visitor_id, touched.first_at, touched.last_at
{%- endmacro %}

{#- The days (spans) of them. -#}
{% macro touched_visit_days(visits, event_days) -%}
  {{ return(day_spans(
    "select cast(from_at as date) as first_day, cast(to_at as date) as last_day from ("
    ~ touched_visits(visits, event_days) ~ ")"
  )) }}
{%- endmacro %}

{% macro scope_touched_sessions() -%}
  {%- set event_days = touched_event_days() -%}
  {%- set days = touched_visit_days(this, event_days) -%}
  {{ in_spans('started_at', days) }} and session_key in (
    select known.session_key from {{ this }} as known
    inner join ({{ touched_visits(this, event_days) }}) as visit
      on visit.visitor_id = known.visitor_id
      and known.started_at >= visit.from_at and known.started_at <= visit.to_at
    where {{ in_spans('known.started_at', days) }}
  )
{%- endmacro %}
