{#-
  Dimensions that keep every version of their members (SCD2 in the source's time): what customers,
  products and suppliers share.
-#}

{#-
  Two CTEs: the members to tell anew (`touched`), and all of their versions (`versions`).

  entity   Silver table, one row per version
  key      its natural key, one column
  changed  predicate: the version, or what it is told with, changed in an hour of this build
-#}
{% macro member_versions(entity, key, changed) -%}
touched as (
  select distinct {{ key }} from {{ source('silver', entity) }}
  {% if is_hourly() %} where {{ changed }} {% endif %}
),

versions as (
  select
    member.*,
    coalesce(member.valid_from, {{ beginning_of_time() }}) as known_from,
    lead(member.valid_from) over (
      partition by member.{{ key }} order by member.valid_from nulls first
    ) as next_from,
    row_number() over (
      partition by member.{{ key }} order by member.valid_from nulls first
    ) as version_number
  from {{ source('silver', entity) }} as member
  left semi join touched on touched.{{ key }} = member.{{ key }}
)
{%- endmacro %}

{#- Keys of a version and of its member. -#}
{% macro version_keys(system, name, key) -%}
  {{ surrogate_key(system, ['version.' ~ key, 'unix_micros(version.known_from)']) }} as {{ name }}_version_key,
  {{ surrogate_key(system, ['version.' ~ key]) }} as {{ name }}_key
{%- endmacro %}

{#- The columns with which every such dimension ends. -#}
{% macro version_state() -%}
  case when version.version_number = 1 then {{ beginning_of_time() }} else version.known_from end as effective_from,
  coalesce(version.next_from, {{ end_of_time() }}) as effective_to,
  version.next_from is null as is_current,
  coalesce(version._inferred, false) as is_inferred,
  coalesce(version._deleted, false) or (version.next_from is null and version.valid_to is not null) as is_deleted,
  {{ changed_hour('version._hour') }} as _hour
{%- endmacro %}

{#- The same columns of the member that stands for "not known". -#}
{% macro unknown_version_state() -%}
  {{ beginning_of_time() }} as effective_from,
  {{ end_of_time() }} as effective_to,
  true as is_current,
  false as is_inferred,
  false as is_deleted,
  {{ changed_hour(beginning_of_time()) }} as _hour
{%- endmacro %}
