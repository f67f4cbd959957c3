{{ config(unique_key='campaign_key') }}
with slices as (
  select
    'facebook' as platform, account_id, campaign_id, campaign_name as name,
    campaign_status as status,
    cast(cast(daily_budget as decimal(19, 0)) * cast('0.01' as decimal(3, 2)) as decimal(19, 4)) as daily_budget,
    objective, currency_code as currency,
    timezone_name, date_start as spend_date, hour as local_hour,
    attribution_setting, _extracted_at, coalesce(_deleted, false) as is_deleted, _hour
  from {{ source('silver', 'facebook_insights') }}
  union all
  select
    'google' as platform, account_id, campaign_id, campaign_name as name,
    campaign_status as status,
    cast(cast(daily_budget_micros as decimal(19, 0)) * cast('0.000001' as decimal(7, 6)) as decimal(19, 4)) as daily_budget,
    channel_type as objective, currency_code as currency,
    timezone_name, segments_date as spend_date, segments_hour as local_hour,
    '' as attribution_setting, _extracted_at, coalesce(_deleted, false) as is_deleted, _hour
  from {{ source('silver', 'google_campaign_performance') }}
),

touched as (
  select distinct platform, campaign_id from slices
  {% if is_hourly() %} where {{ in_hours('_hour') }} {% endif %}
),

ranked as (
  select
    slices.*,
    row_number() over (
      partition by slices.platform, slices.campaign_id
      order by
        slices.is_deleted, slices._extracted_at desc, slices.spend_date desc,
        slices.local_hour desc, slices.account_id, slices.attribution_setting
    ) as recency,
    min(slices.spend_date) over (partition by slices.platform, slices.campaign_id) as first_spend_date,
    max(slices._hour) over (partition by slices.platform, slices.campaign_id) as last_hour
  from slices
  left semi join touched
    on touched.platform = slices.platform and touched.campaign_id = slices.campaign_id
)

select
  {{ surrogate_key('ads', ['platform', 'campaign_id']) }} as campaign_key,
  platform,
  account_id,
  campaign_id,
  name,
  status,
  daily_budget,
  objective,
  currency,
  timezone_name,
  first_spend_date,
  is_deleted,
  {{ changed_hour('last_hour') }} as _hour
from ranked
where recency = 1
