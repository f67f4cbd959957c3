{{ config(unique_key='attribution_key', scope='scope_touched_attribution', partition_by='sold_month') }}
{#- The rule is stated in the description. A touched day is divided anew, whole. -#}
{%- if is_hourly() -%}
  {%- set days = touched_attribution_days() -%}
{%- endif %}
with sales as (
  select
    sale.sold_hour, sale.sold_date, sale.region, sale.currency,
    sale.net_amount,
    case when sale.is_return then cast(0 - sale.net_amount as decimal(19, 4)) else cast(0 as decimal(19, 4)) end as returns_amount,
    {#- An order counts once in its hour, with the first of its lines. #}
    case when row_number() over (
      partition by sale.sold_hour, sale.currency, coalesce(sale.order_number, sale.invoice_no)
      order by sale.region, sale.sales_key
    ) = 1 then cast(1 as decimal(19, 4)) else cast(0 as decimal(19, 4)) end as order_count,
    click.platform, click.campaign_key, sale._hour
  from {{ ref('fct_sales') }} as sale
  left join (
    select order_number, platform, campaign_key from {{ ref('fct_order_click') }}
    where platform is not null
    {% if is_hourly() %} and {{ date_in_spans('ordered_date', days) }} {% endif %}
  ) as click on click.order_number = sale.order_number
  where not sale.is_deleted and not sale.is_cancelled
  {% if is_hourly() %}
    and {{ date_in_spans('sale.sold_date', days) }}
  {% endif %}
),

clicked as (
  select
    sold_hour, sold_date, region, currency, platform, campaign_key,
    cast(sum(net_amount) as decimal(19, 4)) as net_amount,
    cast(sum(returns_amount) as decimal(19, 4)) as returns_amount,
    cast(sum(order_count) as decimal(19, 4)) as order_count,
    max(_hour) as _hour
  from sales
  where platform is not null
  group by sold_hour, sold_date, region, currency, platform, campaign_key
),

not_clicked as (
  select
    sold_hour, sold_date, region, currency,
    cast(sum(net_amount) as decimal(19, 4)) as net_amount,
    cast(sum(returns_amount) as decimal(19, 4)) as returns_amount,
    cast(sum(order_count) as decimal(19, 4)) as order_count,
    max(_hour) as _hour
  from sales
  where platform is null
  group by sold_hour, sold_date, region, currency
),

places as (
  select distinct sold_date, region, currency from not_clicked
),

region_clicks as (
  select sold_date, region, currency, platform, campaign_key, cast(sum(order_count) as bigint) as weight
  from clicked
  group by sold_date, region, currency, platform, campaign_key
  having sum(order_count) > 0
),

day_spend as (
  select
    cast(spend_hour as date) as spend_date, currency, platform, campaign_key,
    cast(sum(spend) * cast(10000 as decimal(5, 0)) as bigint) as weight
  from {{ ref('fct_marketing_spend') }}
  where not is_deleted
  {% if is_hourly() %}
    and {{ in_spans('spend_hour', days) }}
  {% endif %}
  group by cast(spend_hour as date), currency, platform, campaign_key
  having sum(spend) > 0
),

weights as (
  select sold_date, region, currency, platform, campaign_key, 'region_clicks' as rule, weight
  from region_clicks
  union all
  select places.sold_date, places.region, places.currency, spent.platform, spent.campaign_key, 'day_spend' as rule, spent.weight
  from places
  inner join day_spend as spent on spent.spend_date = places.sold_date and spent.currency = places.currency
  left anti join region_clicks as known
    on known.sold_date = places.sold_date and known.region = places.region and known.currency = places.currency
  union all
  select places.sold_date, places.region, places.currency, 'none' as platform, cast(null as string) as campaign_key, 'none' as rule, cast(1 as bigint) as weight
  from places
  left anti join day_spend as spent on spent.spend_date = places.sold_date and spent.currency = places.currency
  left anti join region_clicks as known
    on known.sold_date = places.sold_date and known.region = places.region and known.currency = places.currency
),

shares as (
  select
    weights.*,
    sum(weight) over (
      partition by sold_date, region, currency order by platform, campaign_key nulls first
      rows between unbounded preceding and current row
    ) as reached,
    sum(weight) over (partition by sold_date, region, currency) as total
  from weights
),

attributed as (
  select
    sold_hour, sold_date, region, currency, platform, campaign_key, 'last_click' as rule,
    net_amount, returns_amount, order_count, _hour
  from clicked
  union all
  select
    rest.sold_hour, rest.sold_date, rest.region, rest.currency, share.platform, share.campaign_key, share.rule,
    {% for amount in ['net_amount', 'returns_amount', 'order_count'] -%}
    {{ part_of('rest.' ~ amount, 'share.weight', 'share.reached', 'share.total') }} as {{ amount }},
    {% endfor -%}
    rest._hour
  from not_clicked as rest
  inner join shares as share
    on share.sold_date = rest.sold_date and share.region = rest.region and share.currency = rest.currency
)

select
  {{ surrogate_key('mart', ['unix_micros(sold_hour)', 'region', 'currency', 'platform', 'campaign_key', 'rule']) }} as attribution_key,
  sold_hour,
  sold_date,
  date_format(sold_hour, 'yyyy-MM') as sold_month,
  region,
  currency,
  platform,
  campaign_key,
  rule,
  order_count,
  net_amount,
  returns_amount,
  {{ changed_hour('_hour') }} as _hour
from attributed
