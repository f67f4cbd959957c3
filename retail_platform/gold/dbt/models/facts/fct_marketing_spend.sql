{{ config(
  unique_key='spend_key', accumulate=['_touched_hours'], partition_by='spend_month', sought_by=['spend_date']
) }}
{#-
  Facebook repeats a campaign's hour once per attribution setting, with the same spend: the grain
  here has no attribution setting, so the live slice that was fetched last speaks for the hour.
-#}
{%- if is_hourly() -%}
  {%- set days = touched_spend_days() -%}
{%- endif %}
with slices as (
  select
    'facebook' as platform, account_id, campaign_id, date_start as spend_date, hour as local_hour,
    timezone_name, spend, impressions, clicks, purchases as conversions,
    purchase_value as conversion_value, currency_code as currency, attribution_setting,
    _extracted_at, coalesce(_deleted, false) as is_deleted, _hour
  from {{ source('silver', 'facebook_insights') }}
  {% if is_hourly() %} where {{ date_in_spans('date_start', days) }} {% endif %}
  union all
  select
    'google' as platform, account_id, campaign_id, segments_date as spend_date, segments_hour as local_hour,
    timezone_name,
    cast(cast(cost_micros as decimal(19, 0)) * cast('0.000001' as decimal(7, 6)) as decimal(19, 4)) as spend,
    impressions, clicks, conversions, conversions_value as conversion_value, currency_code as currency,
    cast(null as string) as attribution_setting,
    _extracted_at, coalesce(_deleted, false) as is_deleted, _hour
  from {{ source('silver', 'google_campaign_performance') }}
  {% if is_hourly() %} where {{ date_in_spans('segments_date', days) }} {% endif %}
),

touched as (
  select distinct platform, account_id, campaign_id, spend_date, local_hour from slices
  {% if is_hourly() %} where {{ in_hours('_hour') }} {% endif %}
),

ranked as (
  select
    slices.*,
    {{ local_hour_to_utc('slices.spend_date', 'slices.local_hour', 'slices.timezone_name') }} as spend_hour,
    row_number() over (
      partition by slices.platform, slices.account_id, slices.campaign_id, slices.spend_date, slices.local_hour
      order by slices.is_deleted, slices._extracted_at desc, slices.attribution_setting
    ) as preference
  from slices
  left semi join touched
    on touched.platform = slices.platform and touched.account_id = slices.account_id
    and touched.campaign_id = slices.campaign_id and touched.spend_date = slices.spend_date
    and touched.local_hour = slices.local_hour
)

select
  {{ surrogate_key('ads', ['platform', 'account_id', 'campaign_id', 'spend_date', 'local_hour']) }} as spend_key,
  platform,
  account_id,
  campaign_id,
  {{ surrogate_key('ads', ['platform', 'campaign_id']) }} as campaign_key,
  spend_date,
  local_hour,
  timezone_name,
  spend_hour,
  date_format(spend_hour, 'yyyy-MM') as spend_month,
  cast(spend as decimal(19, 4)) as spend,
  impressions,
  clicks,
  cast(conversions as decimal(19, 4)) as conversions,
  cast(conversion_value as decimal(19, 4)) as conversion_value,
  currency,
  attribution_setting,
  is_deleted,
  {{ changed_hour('_hour') }} as _hour,
  {{ hour_set('spend_hour') }} as _touched_hours
from ranked
where preference = 1
