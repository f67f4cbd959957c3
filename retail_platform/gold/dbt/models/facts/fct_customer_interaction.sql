{{ config(unique_key='interaction_key', scope='scope_touched_interactions', partition_by='interacted_month') }}
{#-
  Comments take channel and customer from their ticket, so what changed of a ticket tells all of it anew;
  a ticket that is only inferred has none yet. The comment with which a ticket begins is the ticket's
  own text and no interaction beside it. Mentions on social networks name no customer (their authors
  are masked handles that no other source knows), so they are no interactions of one.
-#}
{%- if is_hourly() -%}
  {%- set ticket_spans = id_spans("select ticket_id as id from (" ~ touched_tickets() ~ ")") -%}
{%- endif %}
with
{% if is_hourly() %}
touched as (
  {{ touched_tickets() }}
),

{% endif %}
interactions as (
  select
    'tickets' as source, case when ticket.channel in ('phone', 'voice') then 'call' else 'ticket' end as kind,
    cast(ticket.ticket_id as string) as source_id, ticket.channel, ticket.customer_id,
    cast(null as bigint) as product_id, ticket.ticket_id, ticket.requester_role as author_role,
    ticket.created_at as interacted_at, ticket.category as topic, ticket.satisfaction as score_given,
    case lower(ticket.satisfaction) when 'good' then cast(1 as double) when 'bad' then cast(0 as double) end as score,
    coalesce(ticket._deleted, false) as is_deleted, ticket._hour
  from {{ source('silver', 'tickets') }} as ticket
  {% if is_hourly() %} left semi join touched on touched.ticket_id = ticket.ticket_id {% endif %}
  where not coalesce(ticket._inferred, false)
  {% if is_hourly() %} and {{ id_in_spans('ticket.ticket_id', ticket_spans) }} {% endif %}

  union all

  select
    'ticket_comments' as source, 'comment' as kind,
    cast(comment.comment_id as string) as source_id, ticket.channel, ticket.customer_id,
    cast(null as bigint) as product_id, comment.ticket_id, comment.author_role,
    comment.created_at as interacted_at, ticket.category as topic, cast(null as string) as score_given,
    cast(null as double) as score,
    coalesce(comment._deleted, false) or coalesce(ticket._deleted, false) as is_deleted,
    greatest(comment._hour, ticket._hour) as _hour
  from {{ source('silver', 'ticket_comments') }} as comment
  inner join {{ source('silver', 'tickets') }} as ticket
    on ticket.ticket_id = comment.ticket_id and not coalesce(ticket._inferred, false)
  {% if is_hourly() %} left semi join touched on touched.ticket_id = comment.ticket_id {% endif %}
  where comment.is_public and comment.created_at > ticket.created_at
  {% if is_hourly() %}
    and {{ id_in_spans('comment.ticket_id', ticket_spans) }} and {{ id_in_spans('ticket.ticket_id', ticket_spans) }}
  {% endif %}

  union all

  select
    'product_reviews' as source, 'review' as kind,
    cast(review_id as string) as source_id, 'shop' as channel, cast(null as bigint) as customer_id,
    product_id, cast(null as bigint) as ticket_id, 'end-user' as author_role,
    created_at as interacted_at, product_class as topic, cast(rating as string) as score_given,
    cast(rating - 1 as double) / 4 as score,
    coalesce(_deleted, false) as is_deleted, _hour
  from {{ source('silver', 'product_reviews') }}
  where not coalesce(_inferred, false)
  {% if is_hourly() %} and {{ in_hours('_hour') }} {% endif %}

  union all

  select
    'survey_responses' as source, 'survey' as kind,
    response_id as source_id, 'survey' as channel, customer_id,
    cast(null as bigint) as product_id, cast(null as bigint) as ticket_id, 'end-user' as author_role,
    answered_at as interacted_at, category as topic, cast(null as string) as score_given,
    cast(null as double) as score,
    coalesce(_deleted, false) as is_deleted, _hour
  from {{ source('silver', 'survey_responses') }}
  where not coalesce(_inferred, false)
  {% if is_hourly() %} and {{ in_hours('_hour') }} {% endif %}
)

select
  {{ surrogate_key('interaction', ['source', 'source_id']) }} as interaction_key,
  source,
  kind,
  source_id,
  channel,
  {{ member_key('sales', 'customer_id') }} as customer_key,
  customer_id,
  {{ member_key('sales', 'product_id') }} as product_key,
  product_id,
  ticket_id,
  author_role,
  topic,
  interacted_at,
  date_trunc('hour', interacted_at) as interacted_hour,
  cast(interacted_at as date) as interacted_date,
  date_format(interacted_at, 'yyyy-MM') as interacted_month,
  score_given,
  score,
  case when score >= 0.75 then 'positive' when score <= 0.25 then 'negative' when score is not null then 'neutral' end as sentiment,
  is_deleted,
  {{ changed_hour('_hour') }} as _hour
from interactions
