{{ config(unique_key='customer_key', scope='scope_everything') }}
{#-
  Recency, frequency and monetary value of every customer who bought in the last
  var('segment_days') days before the last sale there is; each is scored 1 (least) to 5 by fifths of
  the customers, equal values by customer number. Only amounts in USD are added up.
-#}
with as_of as (
  select max(sold_date) as day from {{ ref('fct_sales') }} where not is_deleted
),

sales as (
  select
    sale.customer_key, sale.order_number, sale.sold_date, sale.category, sale.channel, sale.store_key,
    case when sale.currency = 'USD' then sale.net_amount else cast(0 as decimal(19, 4)) end as amount,
    sale._hour
  from {{ ref('fct_sales') }} as sale
  where sale.source = 'sales' and not sale.is_cancelled and not sale.is_deleted
    and sale.customer_key <> {{ unknown_key() }}
    and sale.sold_date > date_sub((select day from as_of), {{ var('segment_days') }})
),

customers as (
  select
    customer_key,
    max(sold_date) as last_order_date,
    count(distinct order_number) as order_count,
    cast(sum(amount) as decimal(19, 4)) as net_amount,
    max(_hour) as _hour
  from sales
  group by customer_key
),

{% for what in ['category', 'channel', 'store_key'] -%}
preferred_{{ what }} as (
  select customer_key, {{ what }}, row_number() over (
    partition by customer_key order by amount desc, {{ what }}
  ) as preference
  from (
    select customer_key, {{ what }}, sum(amount) as amount from sales
    {% if what == 'store_key' %} where store_key <> {{ unknown_key() }} {% endif %}
    group by customer_key, {{ what }}
  )
),

{% endfor -%}
scored as (
  select
    customers.*,
    cast(datediff(as_of.day, last_order_date) as bigint) as recency_days,
    ntile(5) over (order by last_order_date, customer_key) as recency_score,
    ntile(5) over (order by order_count, customer_key) as frequency_score,
    ntile(5) over (order by net_amount, customer_key) as monetary_score
  from customers
  cross join as_of
)

select
  scored.customer_key,
  customer.customer_id,
  coalesce(customer.customer_type, 'unknown') as customer_type,
  coalesce(territory.name, 'Unknown') as region,
  scored.last_order_date,
  scored.recency_days,
  scored.order_count,
  scored.net_amount,
  scored.recency_score,
  scored.frequency_score,
  scored.monetary_score,
  case
    when recency_score >= 4 and frequency_score >= 4 and monetary_score >= 4 then 'champion'
    when frequency_score >= 4 and recency_score >= 3 then 'loyal'
    when recency_score >= 4 and frequency_score <= 2 then 'new'
    when recency_score <= 2 and frequency_score >= 4 then 'at risk'
    when recency_score <= 2 and frequency_score <= 2 then 'hibernating'
    else 'regular'
  end as segment,
  category.category as preferred_category,
  channel.channel as preferred_channel,
  store.store_key as preferred_store_key,
  {{ changed_hour('scored._hour') }} as _hour
from scored
left join {{ ref('dim_customer') }} as customer
  on customer.customer_key = scored.customer_key and customer.is_current
left join {{ source('silver', 'territories') }} as territory
  on territory.territory_id = customer.territory_id
left join preferred_category as category
  on category.customer_key = scored.customer_key and category.preference = 1
left join preferred_channel as channel
  on channel.customer_key = scored.customer_key and channel.preference = 1
left join preferred_store_key as store
  on store.customer_key = scored.customer_key and store.preference = 1
