{{ config(unique_key='date_day') }}
{#- Sail's weekday() says -1 of a Sunday, Spark's 6. -#}
{%- set weekday = '((weekday(date_day) + 7) % 7)' -%}
{%- set reach = calendar_reach('date_day') -%}
{%- set span = calendar_span(reach, var('calendar_start'), 1) -%}
{%- if calendar_is_complete(reach, span) %}
select * from {{ this }} where false
{%- else %}
with days as (
  select explode(sequence(date'{{ span[0] }}', date'{{ span[1] }}', interval 1 day)) as date_day
)

select
  date_day,
  year(date_day) as year,
  quarter(date_day) as quarter,
  month(date_day) as month,
  date_format(date_day, 'yyyy-MM') as year_month,
  weekofyear(date_day) as iso_week,
  {{ weekday }} + 1 as iso_weekday,
  case {{ weekday }} when 0 then 'Monday' when 1 then 'Tuesday' when 2 then 'Wednesday'
    when 3 then 'Thursday' when 4 then 'Friday' when 5 then 'Saturday' else 'Sunday' end as day_name,
  {{ weekday }} >= 5 as is_weekend,
  date_sub(date_day, 7) as same_day_last_week,
  date_sub(date_day, 364) as same_weekday_last_year
from days
{%- endif %}
