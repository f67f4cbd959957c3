{#-
  The IANA time zone of a place. A state that lies in two zones counts with the greater part of its
  people; a place that is not known here is counted in UTC.
-#}
{% macro time_zone_of(country, state) -%}
  case {{ country }}
    when 'US' then case
      when {{ state }} in ('WA', 'OR', 'CA', 'NV') then 'America/Los_Angeles'
      when {{ state }} = 'AZ' then 'America/Phoenix'
      when {{ state }} in ('MT', 'ID', 'WY', 'UT', 'CO', 'NM') then 'America/Denver'
      when {{ state }} in (
        'ND', 'SD', 'NE', 'KS', 'OK', 'TX', 'MN', 'IA', 'MO', 'AR', 'LA', 'WI', 'IL', 'MS', 'AL', 'TN'
      ) then 'America/Chicago'
      when {{ state }} = 'AK' then 'America/Anchorage'
      when {{ state }} = 'HI' then 'Pacific/Honolulu'
      when {{ state }} in (
        'ME', 'NH', 'VT', 'MA', 'RI', 'CT', 'NY', 'NJ', 'PA', 'DE', 'MD', 'DC', 'VA', 'WV', 'OH', 'MI',
        'IN', 'KY', 'NC', 'SC', 'GA', 'FL'
      ) then 'America/New_York'
      else 'UTC' end
    when 'CA' then case
      when {{ state }} = 'BC' then 'America/Vancouver'
      when {{ state }} = 'AB' then 'America/Edmonton'
      when {{ state }} = 'SK' then 'America/Regina'
      when {{ state }} = 'MB' then 'America/Winnipeg'
      when {{ state }} in ('ON', 'QC') then 'America/Toronto'
      when {{ state }} in ('NB', 'NS', 'PE') then 'America/Halifax'
      when {{ state }} = 'NL' then 'America/St_Johns'
      else 'UTC' end
    when 'AU' then case
      when {{ state }} in ('NSW', 'ACT') then 'Australia/Sydney'
      when {{ state }} = 'VIC' then 'Australia/Melbourne'
      when {{ state }} = 'TAS' then 'Australia/Hobart'
      when {{ state }} = 'QLD' then 'Australia/Brisbane'
      when {{ state }} = 'SA' then 'Australia/Adelaide'
      when {{ state }} = 'NT' then 'Australia/Darwin'
      when {{ state }} = 'WA' then 'Australia/Perth'
      else 'UTC' end
    when 'GB' then 'Europe/London'
    when 'FR' then 'Europe/Paris'
    when 'DE' then 'Europe/Berlin'
    else 'UTC' end
{%- endmacro %}
