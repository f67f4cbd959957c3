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

{#- Visitors of whom an event came (or was taken back) in the hour, with the span of those events. -#}
{% macro touched_visitors() -%}
  select {{ visitor_id('event') }} as visitor_id, min(event.occurred_at) as first_at, max(event.occurred_at) as last_at
  from {{ source('silver', 'web_events') }} as event
  where {{ in_hours('event._hour') }}
  group by {{ visitor_id('event') }}
{%- endmacro %}

{#-
  The span in which each of them is told anew: that of the events and of every known session that
  they can join or split. No session beyond it is near enough to change.
-#}
{% macro touched_visits() -%}
  select
    touched.visitor_id,
    least(touched.first_at, coalesce(min(known.started_at), touched.first_at)) as from_at,
    greatest(touched.last_at, coalesce(max(known.ended_at), touched.last_at)) as to_at
  from ({{ touched_visitors() }}) as touched
  left join {{ this }} as known
    on known.visitor_id = touched.visitor_id
    and {{ within_a_visit('known.ended_at', 'touched.first_at') }}
    and {{ within_a_visit('touched.last_at', 'known.started_at') }}
  group by touched.visitor_id, touched.first_at, touched.last_at
{%- endmacro %}

{% macro scope_touched_sessions() -%}
  session_key in (
    select known.session_key from {{ this }} as known
    inner join ({{ touched_visits() }}) as visit
      on visit.visitor_id = known.visitor_id
      and known.started_at >= visit.from_at and known.started_at <= visit.to_at
  )
{%- endmacro %}
