{#-
  Surrogate key: SHA-256 over length-prefixed parts, so that ('a', 'bc') and ('ab', 'c') differ and
  NULL differs from ''. The first part names the system that issued the natural key.
-#}
{% macro surrogate_key(system, parts) -%}
  sha2(concat(
    '{{ system | length }}:{{ system }}'
    {%- for part in parts %},
    coalesce(concat(cast(length(cast({{ part }} as string)) as string), ':', cast({{ part }} as string)), '-')
    {%- endfor %}
  ), 256)
{%- endmacro %}

{#- The key of the member that stands for "not known" in every dimension. -#}
{% macro unknown_key() -%}
  {{ surrogate_key('unknown', []) }}
{%- endmacro %}

{#- The surrogate key of a natural key that may be NULL: then the unknown member's. -#}
{% macro member_key(system, natural_key) -%}
  case when {{ natural_key }} is null then {{ unknown_key() }}
    else {{ surrogate_key(system, [natural_key]) }} end
{%- endmacro %}
