-- JSON Schema, draft 2020-12, without an extension. Three functions are for the outside:
--
--   schema_faults(schema)                what is wrong with a schema, or not supported
--   prepared_schema(schema)              what is kept of a schema without faults
--   document_faults(prepared, document)  what is wrong with a document
--
-- All its validation and applicator keywords count; `format` and `content*` are annotations. What
-- is not supported (`unevaluated*`, `$dynamicRef`, `$id`, `$anchor`, a `$ref` out of the schema, an
-- unknown keyword, look-around in a pattern) is a fault: a schema never says more than is checked.
--
-- `search_path` is set on these three only. On the functions inside it would keep PostgreSQL from
-- inlining them, and a check would take four to five times as long.


-- Patterns
--
-- Regular expressions of PostgreSQL look like those of ECMA-262 (with its flag u), and often mean
-- something else. So a pattern is taken apart and written anew, of nothing but sets of code points,
-- groups, `|`, counts, `^`, `$` and word boundaries, whose meanings are the same.

-- The escapes that stand for one code point, or for a set of them.
create function escape_tokens() returns text language sql immutable
return '\\u[dD][89abAB][0-9A-Fa-f]{2}\\u[dD][c-fC-F][0-9A-Fa-f]{2}'
    '|\\u[0-9A-Fa-f]{4}|\\u\{(?:10|0?[0-9A-Fa-f])?[0-9A-Fa-f]{1,4}\}|\\x[0-9A-Fa-f]{2}'
    '|\\c[A-Za-z]|\\0[0-9]*|\\[dDwWsStnvfr]|\\[] -/:-@[\\^_`{-~]';

-- What a pattern is made of. At each place the longest token counts.
create function pattern_tokens() returns text language sql immutable
return '[*+?]\??|\{[0-9]{1,3}(?:,[0-9]{0,3})?\}\??'  -- how often
    '|\^|\$|\\[bB]'                                  -- where
    '|\(\?:|\(|\)|\|'                                -- groups
    '|\[(?:\\.|[^]\\])*\]|\.'                        -- sets
    '|[^][\\^$.*+?(){}|]|' || escape_tokens();       -- code points

-- Whatever a string of PostgreSQL can hold: neither NUL nor a half of a surrogate pair.
create function all_code_points() returns int4multirange language sql immutable
return '{[1,55296),[57344,1114112)}'::int4multirange;

create function hexadecimal(digits text) returns integer language sql immutable
return ('x' || lpad(digits, 8, '0'))::bit(32)::integer;

-- Of a token that stands for one; null where ECMA-262 does not know it.
create function code_point(token text) returns integer language sql immutable
return case
    when token = '\' or left(token, 1) <> '\' then ascii(token)
    when length(token) = 12 then
        65536 + (hexadecimal(substr(token, 3, 4)) - 55296) * 1024
        + hexadecimal(substr(token, 9, 4)) - 56320
    when substr(token, 2, 1) in ('u', 'x') then hexadecimal(translate(substr(token, 3), '{}', ''))
    when substr(token, 2, 1) = 'c' then ascii(substr(token, 3)) % 32
    when token = '\0' then 0
    when substr(token, 2, 1) <> '0'
        then ascii(translate(substr(token, 2), 'btnvfr', e'\b\t\n\x0b\f\r'))
end;

create function code_points(low integer, high integer) returns int4multirange language sql immutable
return case
    when low <= high then int4multirange(int4range(low, high, '[]')) * all_code_points()
end;

create function white_space() returns int4multirange language sql immutable
return ('{[9,14),[32,33),[160,161),[5760,5761),[8192,8203),[8232,8234),[8239,8240),[8287,8288),'
    '[12288,12289),[65279,65280)}')::int4multirange;

-- Of a token that stands for one or a set, outside of brackets or in them.
create function code_points(token text) returns int4multirange language sql immutable
return case token
    when '\d' then '{[48,58)}'
    when '\D' then all_code_points() - '{[48,58)}'
    when '\w' then '{[48,58),[65,91),[95,96),[97,123)}'
    when '\W' then all_code_points() - '{[48,58),[65,91),[95,96),[97,123)}'
    when '\s' then white_space()
    when '\S' then all_code_points() - white_space()
    else code_points(code_point(token), code_point(token))
end;

-- Of what stands between brackets; null where ECMA-262 does not know it.
create function bracketed_code_points(body text) returns int4multirange language sql immutable as $$
    with item as (
        select found.part[1] as low, found.part[2] as high, found.part[3] as single
        from regexp_matches(
            body, replace('(ONE)-(ONE)|(ONE)', 'ONE', '[^\\]|\\b|' || escape_tokens()), 'g'
        ) as found (part)
    ),
    points as (
        select
            coalesce(item.low || '-' || item.high, item.single) as token,
            case
                when item.single is not null then code_points(item.single)
                when item.low || item.high !~ '\\[dDwWsS]'
                    then code_points(code_point(item.low), code_point(item.high))
            end as points
        from item
    )
    select case
        when coalesce(string_agg(points.token, ''), '') = body
            and count(points.points) = count(*)
            then coalesce(range_agg(points.points), '{}')
    end
    from points
$$;

-- An expression of PostgreSQL for one of these code points.
create function code_point_expression(points int4multirange) returns text
language sql immutable strict as $$
    select coalesce(
        '[' || string_agg(
            '\U' || lpad(to_hex(lower(part)), 8, '0')
            || '-\U' || lpad(to_hex(upper(part) - 1), 8, '0'),
            ''
        ) || ']',
        '(?:$a)'  -- which matches nothing
    )
    from unnest(points) as part
$$;

-- A token in PostgreSQL's words; null where ECMA-262 does not know it.
create function token_expression(token text) returns text language sql immutable
return case
    when token ~ '^[A-Za-z0-9]$' then token
    when token in ('(', '(?:') then '(?:'
    when token in (')', '|', '^', '$') then token
    when token = '\b' then '\y'
    when token = '\B' then '\Y'
    when token ~ '^[*+?]' then left(token, 1)
    -- Whether something matches does not depend on how much of it is taken.
    when token ~ '^\{' then rtrim(token, '?')
    when token = '.' then code_point_expression(all_code_points() - '{[10,11),[13,14),[8232,8234)}')
    when token ~ '^\[\^' then code_point_expression(
        all_code_points() - bracketed_code_points(substr(token, 3, length(token) - 3))
    )
    when token ~ '^\[' then code_point_expression(
        bracketed_code_points(substr(token, 2, length(token) - 2))
    )
    else code_point_expression(code_points(token))
end;

-- How many times a token of counting repeats what is before it, as PostgreSQL writes it out.
create function repetitions(token text) returns integer language sql immutable
return greatest(1, coalesce(
    substring(token from '([0-9]+)\}')::integer, substring(token from '[0-9]+')::integer
));

-- How many tokens a pattern has with its counts written out; null where it is not well formed, or
-- has more than 1,000. PostgreSQL takes up to 20 ms to compile so many, and a second for 65,000.
create function pattern_size(tokens text[]) returns integer language plpgsql immutable as $$
declare
    sizes integer[] := '{0}';  -- of the groups that are open, the innermost last
    token text;
    countable integer;         -- the size of what may be counted next
    added integer;
begin
    foreach token in array tokens loop
        if token in ('(', '(?:') then
            sizes := sizes || 1;
            countable := null;
            continue;
        elsif token = ')' then
            added := sizes[cardinality(sizes)];
            sizes := trim_array(sizes, 1);
            countable := added;
        elsif token ~ '^([*+?]|\{.)' then
            added := countable * (repetitions(token) - 1);
            countable := null;
        else
            added := 1;
            countable := case when token not in ('|', '^', '$', '\b', '\B') then 1 end;
        end if;
        sizes[cardinality(sizes)] := sizes[cardinality(sizes)] + added;
        if (sizes[cardinality(sizes)] <= 1000) is not true then
            return null;
        end if;
    end loop;
    return case when cardinality(sizes) = 1 then sizes[1] end;
end
$$;

-- The pattern as an expression of PostgreSQL, and its size; null where it has none.
create function translated_pattern(pattern text, out expression text, out size integer)
language plpgsql immutable as $$
declare
    tokens text[] := array(
        select found.part[1] from regexp_matches(pattern, pattern_tokens(), 'g') as found (part)
    );
    expressions text[] := array(
        select token_expression(one.token) from unnest(tokens) as one (token)
    );
begin
    if array_to_string(tokens, '') = pattern and array_position(expressions, null) is null then
        size := pattern_size(tokens);
    end if;
    if size is not null then
        expression := array_to_string(expressions, '');
        perform '' ~ expression collate "C";
    end if;
exception when invalid_regular_expression then
    expression := null;
end
$$;


-- Schemas

-- The keywords, the shape of their values, and to what kind of value they apply (null: they only
-- annotate, or stand for no check of their own).
create function schema_keywords() returns table (keyword text, shape text, kind text)
language sql immutable as $$
    values
        ('$schema', 'dialect', null), ('$defs', 'map of schemas', null),
        ('$comment', 'string', null), ('title', 'string', null), ('description', 'string', null),
        ('default', 'value', null), ('examples', 'values', null), ('deprecated', 'boolean', null),
        ('readOnly', 'boolean', null), ('writeOnly', 'boolean', null), ('format', 'string', null),
        ('contentEncoding', 'string', null), ('contentMediaType', 'string', null),
        ('contentSchema', 'schema', null),

        ('type', 'types', 'any'), ('enum', 'values', 'any'), ('const', 'value', 'any'),
        ('$ref', 'reference', 'combined'), ('allOf', 'schemas', 'combined'),
        ('anyOf', 'schemas', 'combined'), ('oneOf', 'schemas', 'combined'),
        ('not', 'schema', 'combined'),
        ('if', 'schema', 'combined'), ('then', 'schema', null), ('else', 'schema', null),

        ('minimum', 'number', 'number'), ('exclusiveMinimum', 'number', 'number'),
        ('maximum', 'number', 'number'), ('exclusiveMaximum', 'number', 'number'),
        ('multipleOf', 'positive number', 'number'),

        ('minLength', 'count', 'string'), ('maxLength', 'count', 'string'),
        ('pattern', 'pattern', 'string'),

        ('minItems', 'count', 'array'), ('maxItems', 'count', 'array'),
        ('uniqueItems', 'boolean', 'array'),
        ('prefixItems', 'schemas', 'array'), ('items', 'schema', 'array'),
        ('contains', 'schema', 'array'),
        ('minContains', 'count', null), ('maxContains', 'count', null),

        ('minProperties', 'count', 'object'), ('maxProperties', 'count', 'object'),
        ('required', 'names', 'object'), ('dependentRequired', 'map of names', 'object'),
        ('properties', 'map of schemas', 'object'), ('additionalProperties', 'schema', 'object'),
        ('patternProperties', 'map of schemas by pattern', 'object'),
        ('propertyNames', 'schema', 'object'), ('dependentSchemas', 'map of schemas', 'object')
$$;

-- A name in a JSON Pointer (RFC 6901).
create function pointer_token(name text) returns text language sql immutable
return '/' || replace(replace(name, '~', '~0'), '/', '~1');

-- The members of an object; none of any other value.
create function members_of(value jsonb) returns table (key text, value jsonb)
language sql immutable as $$
    select member.key, member.value
    from jsonb_each(case when jsonb_typeof(members_of.value) = 'object' then members_of.value end)
        as member
$$;

-- The items of an array, from 0 on; none of any other value.
create function items_of(value jsonb) returns table (place bigint, value jsonb)
language sql immutable as $$
    select item.place - 1, item.value
    from jsonb_array_elements(
        case when jsonb_typeof(items_of.value) = 'array' then items_of.value end
    ) with ordinality as item (value, place)
$$;

-- A schema and all inside it: numbers from 1 on, JSON Pointers, and the keyword of the one around
-- it that it belongs to. What is nested deeper than documents may be is left out.
create function subschemas(schema jsonb)
returns table (
    number bigint, pointer text, schema jsonb, depth integer, parent text, keyword text
)
language sql immutable as $$
    with recursive found (pointer, schema, depth, parent, keyword) as (
        select '', subschemas.schema, 1, null::text, null::text
        union all
        select
            found.pointer || pointer_token(member.key) || part.pointer, part.schema,
            found.depth + 1, found.pointer, member.key
        from found
        cross join members_of(found.schema) as member
        join schema_keywords() as known on known.keyword = member.key
        cross join lateral (
            select '', member.value where known.shape = 'schema'
            union all
            select '/' || item.place, item.value from items_of(member.value) as item
            where known.shape = 'schemas'
            union all
            select pointer_token(named.key), named.value from members_of(member.value) as named
            where known.shape like 'map of schemas%'
        ) as part (pointer, schema)
        where found.depth < 65
    )
    select row_number() over (order by found.depth, found.pointer collate "C"), found.* from found
$$;

-- The JSON Pointer that a `$ref` inside a schema stands for (RFC 6901, section 6); null where it is
-- none, such as `other.json` or `#anchor`.
create function reference_pointer(reference text) returns text
language plpgsql immutable strict as $$
begin
    if reference !~ '^#(/|$)' or reference ~ '%(?![0-9A-Fa-f]{2})' then
        return null;
    end if;
    return convert_from((
        select coalesce(string_agg(
            case
                when found.part[1] ~ '^%..$' then decode(substr(found.part[1], 2), 'hex')
                else convert_to(found.part[1], 'UTF8')
            end,
            ''
        ), '')
        from regexp_matches(substr(reference, 2), '%..|[^%]+', 'g') as found (part)
    ), 'UTF8');
exception when invalid_parameter_value or character_not_in_repertoire then
    return null;
end
$$;

create function is_integer(number numeric) returns boolean language sql immutable
return number = trunc(number);

-- By a hash: as many equal items as there may be cost no more than others.
create function has_equal_items(value jsonb) returns boolean language sql immutable
return exists (select from items_of(value) as item group by item.value having count(*) > 1);

create function are_names(value jsonb) returns boolean language sql immutable
return jsonb_typeof(value) = 'array' and not value @? 'strict $[*] ? (@.type() != "string")'
    and not has_equal_items(value);

-- Whether the value of a keyword has its shape. What is inside of schemas is not looked at.
create function has_shape(value jsonb, shape text) returns boolean language sql immutable
return case
    when shape = 'value' then true
    when shape = 'values' then jsonb_typeof(value) = 'array'
    when shape = 'schemas' then jsonb_typeof(value) = 'array' and value <> '[]'
    when shape = 'positive number' then jsonb_typeof(value) = 'number' and value > '0'
    when shape = 'count'
        then jsonb_typeof(value) = 'number' and value >= '0' and is_integer(value::numeric)
    when shape = 'types' then
        value <@ '["null", "boolean", "number", "integer", "string", "array", "object"]'
        and value <> '[]' and not has_equal_items(value)
    when shape = 'names' then are_names(value)
    when shape = 'map of names' then jsonb_typeof(value) = 'object'
        and not exists (select from members_of(value) as member where not are_names(member.value))
    when shape = 'dialect' then value = '"https://json-schema.org/draft/2020-12/schema"'
    when shape = 'reference' then reference_pointer(value #>> '{}') is not null
    when shape = 'pattern'
        then jsonb_typeof(value) = 'string'
        and (translated_pattern(value #>> '{}')).expression is not null
    when shape = 'schema' then true
    when shape like 'map of %' then jsonb_typeof(value) = 'object'
    else jsonb_typeof(value) = shape
end;

-- What a shape is, for the client.
create function shape_demand(shape text) returns text language sql immutable
return 'must be ' || case shape
    when 'values' then 'an array'
    when 'schemas' then 'an array of schemas that is not empty'
    when 'positive number' then 'a number above 0'
    when 'count' then 'a whole number from 0 on'
    when 'types' then 'a type, or an array of different types that is not empty'
    when 'names' then 'an array of different strings'
    when 'map of names' then 'an object of arrays of different strings'
    when 'dialect' then '"https://json-schema.org/draft/2020-12/schema"'
    when 'reference' then '"#", or "#/" and a pointer into this schema that leads to a schema'
    when 'pattern' then
        'a regular expression of ECMA-262, without look-around, back-references, named groups and '
        '\p, with counts up to 255 and no more than 1,000 characters when they are written out'
    when 'boolean' then 'true or false'
    when 'number' then 'a number'
    when 'string' then 'a string'
    else 'an object'
end;

-- What is wrong with a schema, or not supported: at most 20 faults, with JSON Pointers into it.
create function schema_faults(schema jsonb) returns table (pointer text, detail text)
language sql immutable set search_path from current as $$
    with recursive one as materialized (
        select * from subschemas(schema_faults.schema)
    ),
    keyword as materialized (
        select one.pointer as owner, one.pointer || pointer_token(member.key) as pointer,
            member.key as name, member.value, known.shape
        from one
        cross join members_of(one.schema) as member
        left join schema_keywords() as known on known.keyword = member.key
    ),
    reference as (
        select keyword.owner, keyword.pointer, reference_pointer(keyword.value #>> '{}') as target
        from keyword where keyword.name = '$ref'
    ),
    -- From a schema to those that look at the same value.
    step (source, target) as materialized (
        select one.parent, one.pointer from one
        where one.keyword in (
            'allOf', 'anyOf', 'oneOf', 'not', 'if', 'then', 'else', 'dependentSchemas'
        )
        union all
        select reference.owner, reference.target from reference
    ),
    walked (pointer, steps) as (
        select one.pointer, 0 from one
        union
        select step.target, walked.steps + 1
        from walked join step on step.source = walked.pointer where walked.steps < 32
    ),
    fault (pointer, detail) as (
        select one.pointer, 'must be an object or a boolean' from one
        where jsonb_typeof(one.schema) not in ('object', 'boolean')
        union all
        select one.pointer, 'is nested deeper than 64 schemas' from one where one.depth > 64
        union all
        select walked.pointer,
            'is reached through more than 31 schemas for the same value, or leads back to itself'
        from walked where walked.steps = 32
        union all
        select keyword.pointer, 'is not a keyword that is supported' from keyword
        where keyword.shape is null
        union all
        select keyword.pointer, shape_demand(keyword.shape) from keyword
        where not has_shape(keyword.value, keyword.shape)
        union all
        select reference.pointer, shape_demand('reference') from reference
        where reference.target is not null
        and not exists (select from one where one.pointer = reference.target)
        union all
        select keyword.pointer || pointer_token(named.key), shape_demand('pattern')
        from keyword cross join members_of(keyword.value) as named
        where keyword.shape = 'map of schemas by pattern'
        and not has_shape(to_jsonb(named.key), 'pattern')
    )
    select distinct fault.pointer, fault.detail from fault order by 1, 2 limit 20
$$;

-- A pattern as it is kept, with the steps of a match: PostgreSQL keeps 32 expressions that it has
-- compiled; where a schema has more, each match may compile one again.
create function prepared_pattern(pattern text, are_many boolean) returns jsonb
language sql immutable
return (
    select jsonb_build_object(
        'pattern', pattern, 'expression', translated.expression, 'size', translated.size,
        'steps', case when are_many then translated.size else 1 end
    )
    from translated_pattern(pattern) as translated
);

-- As an integer: nothing that is counted comes near to the largest.
create function prepared_count(count jsonb) returns jsonb language sql immutable strict
return to_jsonb(least(count::numeric, 2147483647)::integer);

-- As PostgreSQL prints an array of text, which is how it reads one at once.
create function name_array(names jsonb) returns jsonb language sql immutable
return to_jsonb(array(select item.value #>> '{}' from items_of(names) as item)::text);

-- The value of a keyword as it is kept, with `numbers` of schemas by their JSON Pointers.
create function prepared_argument(
    pointer text, keyword text, shape text, value jsonb, schema jsonb, numbers jsonb,
    many_patterns boolean
)
returns jsonb language sql immutable
return case
    when keyword = 'if' then jsonb_build_array(
        numbers -> (pointer || '/if'),
        coalesce(numbers -> (pointer || '/then'), '0'),
        coalesce(numbers -> (pointer || '/else'), '0')
    )
    when keyword = 'contains' then jsonb_strip_nulls(jsonb_build_object(
        'schema', numbers -> (pointer || '/contains'),
        'fewest', coalesce(prepared_count(schema -> 'minContains'), '1'),
        'most', prepared_count(schema -> 'maxContains')
    ))
    when keyword = 'type' then case jsonb_typeof(value)
        when 'string' then jsonb_build_array(value) else value
    end
    when shape = 'reference' then numbers -> reference_pointer(value #>> '{}')
    when shape = 'schema' then numbers -> (pointer || '/' || keyword)
    when shape = 'schemas' then (
        select jsonb_agg(
            numbers -> (pointer || '/' || keyword || '/' || item.place) order by item.place
        )
        from items_of(value) as item
    )
    when shape = 'map of schemas' then (
        select coalesce(jsonb_object_agg(
            named.key, numbers -> (pointer || '/' || keyword || pointer_token(named.key))
        ), '{}')
        from members_of(value) as named
    )
    when shape = 'map of schemas by pattern' then (
        select coalesce(jsonb_agg(prepared_pattern(named.key, many_patterns) || jsonb_build_object(
            'schema', numbers -> (pointer || '/' || keyword || pointer_token(named.key))
        )), '[]')
        from members_of(value) as named
    )
    when shape = 'pattern' then prepared_pattern(value #>> '{}', many_patterns)
    when shape = 'count' then prepared_count(value)
    when shape = 'names' then name_array(value)
    when shape = 'map of names' then (
        select coalesce(jsonb_object_agg(named.key, name_array(named.value)), '{}')
        from members_of(value) as named
    )
    else value
end;

-- The kinds of values that fit a node whatever they are.
create function plain_kinds(node jsonb) returns text[] language sql immutable
return array(
    select given.kind
    from unnest('{null,boolean,number,string,array,object}'::text[]) as given (kind)
    where (node -> 'any' -> 'type' ? given.kind) is not false
    and not node ? given.kind and not node ? 'combined'
    and (node -> 'any' ?| '{const,enum}') is not true
);

-- One schema as it is kept: an object of kinds of values, each with the keywords that count for it.
create function prepared_node(
    pointer text, schema jsonb, numbers jsonb, many_patterns boolean
)
returns jsonb language sql immutable as $$
    with rule as (
        select known.kind, known.keyword, prepared_argument(
            pointer, known.keyword, known.shape, member.value, schema, numbers, many_patterns
        ) as argument
        from members_of(schema) as member
        join schema_keywords() as known on known.keyword = member.key
        where known.kind is not null
    ),
    kind as (
        select rule.kind, jsonb_object_agg(rule.keyword, rule.argument) as rules
        from rule group by rule.kind
    ),
    node as (
        select case schema
            when 'false' then '{"any": {"type": []}}'
            else coalesce(jsonb_object_agg(kind.kind, kind.rules), '{}')
        end as node
        from kind
    )
    select node.node || jsonb_build_object('plain', to_jsonb(plain_kinds(node.node))) from node
$$;

-- The number of each schema in a schema, by its JSON Pointer: 0 where it allows everything, that of
-- the other one where it has no more than a `$ref`, so that it is spared a node of its own.
create function schema_numbers(schema jsonb) returns jsonb language sql immutable as $$
    with one as materialized (
        select * from subschemas(schema_numbers.schema)
    )
    select jsonb_object_agg(
        one.pointer,
        case
            when coalesce(target.schema, one.schema) in ('true', '{}') then 0
            else coalesce(target.number, one.number)
        end
    )
    from one
    left join one as target on target.pointer = reference_pointer(one.schema ->> '$ref')
        and not exists (
            select from members_of(one.schema) as member
            join schema_keywords() as known on known.keyword = member.key
            where known.kind is not null and member.key <> '$ref'
        )
$$;

-- What is kept of a schema without faults: an array of nodes, of which the first stands for the
-- whole schema. They name each other by number, from 1 on; 0 is the schema that allows everything.
--
-- In PL/pgSQL, since the numbers may be a megabyte: a query would copy them for each node.
create function prepared_schema(schema jsonb) returns jsonb
language plpgsql immutable set search_path from current as $$
declare
    numbers jsonb := schema_numbers(schema);
    many_patterns boolean := 30 < (
        select sum(
            (one.schema ? 'pattern')::integer
            + (select count(*) from members_of(one.schema -> 'patternProperties'))
        )
        from subschemas(schema) as one
    );
begin
    return (
        select jsonb_agg(
            prepared_node(one.pointer, one.schema, numbers, many_patterns) order by one.number
        )
        from subschemas(schema) as one
    );
end
$$;


-- Documents
--
-- A check counts its steps, so that the same document passes or fails always, however fast the
-- machine is. `steps` go into each function and come out of it with its own added, and negative
-- where the value does not fit. A valid document is answered by that alone; only an invalid one is
-- walked again for its faults.
--
-- `nodes` is an array of jsonb and not jsonb: PL/pgSQL hands an array on without a copy, and finds
-- the element of a number at once.

-- Some 5 µs each: half of the time that the service gives a statement.
create function most_steps() returns bigint language sql immutable return 500000;

-- Of schemas inside each other, as a document is walked through. It lets documents be as deep as
-- the service takes them (64), with two schemas for each level. PostgreSQL's default of 2 MB of
-- stack bears 230; the rest is for what calls.
create function most_depth() returns integer language sql immutable return 150;

-- Most values are done by this, without a call. No node stands for the schema that allows
-- everything.
create function fits_plainly(value jsonb, node jsonb) returns boolean language sql immutable
return (node -> 'plain' ? jsonb_typeof(value)) is not false;

create function has_type(kind text, value jsonb, types jsonb) returns boolean language sql immutable
return types ? kind or (kind = 'number' and types ? 'integer' and is_integer(value::numeric));

create function fits_number(value jsonb, rules jsonb) returns boolean language sql immutable
return (value >= rules -> 'minimum') is not false
    and (value > rules -> 'exclusiveMinimum') is not false
    and (value <= rules -> 'maximum') is not false
    and (value < rules -> 'exclusiveMaximum') is not false
    and (value::numeric % (rules -> 'multipleOf')::numeric = 0) is not false;

create function fits_string(value text, rules jsonb) returns boolean language sql immutable
return (char_length(value) >= (rules -> 'minLength')::integer) is not false
    and (char_length(value) <= (rules -> 'maxLength')::integer) is not false
    and (value ~ (rules -> 'pattern' ->> 'expression') collate "C") is not false;

create function fits_count(count bigint, fewest jsonb, most jsonb) returns boolean
language sql immutable
return (count >= fewest::integer) is not false and (count <= most::integer) is not false;

-- The steps of a match: one for each character where the pattern has its full size.
create function pattern_steps(value text, pattern jsonb) returns bigint language sql immutable
return (pattern -> 'steps')::integer
    + char_length(value)::bigint * (pattern -> 'size')::integer / 1000;

-- The steps that a value takes beside those of what is in it. Values and nodes are copied as they
-- are handed on; nodes are looked through; a number may have 131,072 digits.
create function own_steps(kind text, value jsonb, node jsonb, rules jsonb) returns bigint
language sql stable  -- as pg_column_size is; otherwise it would not be inlined
return 1 + pg_column_size(value) / 2048 + pg_column_size(node) / 256 + case
    when rules is null then 0
    when kind = 'string' then coalesce(pattern_steps(value #>> '{}', rules -> 'pattern'), 0)
    when kind = 'array' then 2 + jsonb_array_length(value) / 2
    -- The members of an object cannot be counted as quickly.
    when kind = 'object' then 2 + pg_column_size(value) / 32
    when rules ? 'multipleOf'
        then char_length(value #>> '{}')::bigint * char_length(rules ->> 'multipleOf') / 1000
    else 0
end;

-- The members of an object, each with the number of a schema that it has to fit. Two functions, for
-- what most schemas say takes half the time.
create function schemas_of_members(value jsonb, properties jsonb, others jsonb)
returns table (key text, value jsonb, schema integer) language sql immutable as $$
    select member.key, member.value, coalesce(properties -> member.key, others)::integer
    from jsonb_each(schemas_of_members.value) as member
$$;

create function schemas_by_pattern(value jsonb, properties jsonb, patterns jsonb, others jsonb)
returns table (key text, value jsonb, schema integer) language sql immutable as $$
    select member.key, member.value, given.schema::integer
    from jsonb_each(schemas_by_pattern.value) as member
    cross join lateral (
        select array(
            select properties -> member.key where properties ? member.key
            union all
            select pattern.value -> 'schema' from items_of(patterns) as pattern
            where member.key ~ (pattern.value ->> 'expression') collate "C"
        ) as schemas
    ) as named
    cross join unnest(
        case named.schemas when '{}' then array[others] else named.schemas end
    ) as given (schema)
$$;

create function schemas_of_items(value jsonb, first_ones jsonb, others jsonb)
returns table (place bigint, value jsonb, schema integer) language sql immutable as $$
    select
        item.place - 1, item.value,
        coalesce(first_ones -> (item.place - 1)::integer, others)::integer
    from jsonb_array_elements(schemas_of_items.value) with ordinality as item (value, place)
$$;

-- It calls twice what could be called once. PL/pgSQL keeps what it has made of an expression, but
-- cannot use that again where the same one is still being computed further up; to make it anew
-- takes longer than most values take. The second call never has another one inside it.
create function try_members(
    nodes jsonb[], rules jsonb, value jsonb, steps bigint, depth integer
)
returns bigint language plpgsql immutable as $$
declare
    properties jsonb := rules -> 'properties';
    patterns jsonb := rules -> 'patternProperties';
    others jsonb := rules -> 'additionalProperties';
    member jsonb;
    schema integer;
begin
    if patterns is not null then
        steps := steps + (
            select
                count(*) * max(pattern.steps)
                + sum(char_length(named.key)) * max(pattern.size) / 1000
            from jsonb_object_keys(value) as named (key)
            cross join (
                select
                    sum((one.value -> 'steps')::bigint) as steps,
                    sum((one.value -> 'size')::bigint) as size
                from items_of(patterns) as one
            ) as pattern
        );
        if steps > most_steps() then
            return steps;
        end if;
        for member, schema in
            select of.value, of.schema
            from schemas_by_pattern(value, properties, patterns, others) as of
        loop
            steps := try_value(nodes, nodes[schema], member, steps, depth);
            exit when steps < 0;
        end loop;
    else
        for member, schema in
            select of.value, of.schema from schemas_of_members(value, properties, others) as of
            where not fits_plainly(of.value, nodes[of.schema])
        loop
            if jsonb_typeof(member) in ('array', 'object') then
                steps := try_value(nodes, nodes[schema], member, steps, depth);
            else
                steps := try_value(nodes, nodes[schema], member, steps, depth);
            end if;
            exit when steps < 0;
        end loop;
    end if;
    return steps;
end
$$;

create function try_object(
    nodes jsonb[], rules jsonb, value jsonb, steps bigint, depth integer
)
returns bigint language plpgsql immutable as $$
declare
    name text;
    schema integer;
begin
    if (value ?& (rules ->> 'required')::text[]) is false then
        return -steps;
    end if;
    if rules ?| '{minProperties,maxProperties}' then
        if not fits_count(
            (select count(*) from jsonb_object_keys(value)),
            rules -> 'minProperties', rules -> 'maxProperties'
        ) then
            return -steps;
        end if;
    end if;
    if rules ? 'dependentRequired' then
        if exists (
            select from jsonb_each_text(rules -> 'dependentRequired') as dependent
            where try_object.value ? dependent.key
            and not try_object.value ?& dependent.value::text[]
        ) then
            return -steps;
        end if;
    end if;
    if rules ?| '{properties,patternProperties,additionalProperties}' then
        steps := try_members(nodes, rules, value, steps, depth);
    end if;
    if steps > 0 and rules ? 'propertyNames' then
        for name in select jsonb_object_keys(value) loop
            steps := try_value(
                nodes, nodes[(rules -> 'propertyNames')::integer], to_jsonb(name), steps, depth
            );
            exit when steps < 0;
        end loop;
    end if;
    if steps > 0 and rules ? 'dependentSchemas' then
        for schema in
            select dependent.value::integer
            from jsonb_each(rules -> 'dependentSchemas') as dependent
            where try_object.value ? dependent.key
        loop
            steps := try_value(nodes, nodes[schema], value, steps, depth);
            exit when steps < 0;
        end loop;
    end if;
    return steps;
end
$$;

create function try_contains(
    nodes jsonb[], rule jsonb, value jsonb, steps bigint, depth integer
)
returns bigint language plpgsql immutable as $$
declare
    node jsonb := nodes[(rule -> 'schema')::integer];
    item jsonb;
    outcome bigint;
    count bigint := 0;
begin
    for item in select jsonb_array_elements(value) loop
        outcome := try_value(nodes, node, item, steps, depth);
        count := count + (outcome > 0)::integer;
        steps := abs(outcome);
    end loop;
    return case when fits_count(count, rule -> 'fewest', rule -> 'most') then steps else -steps end;
end
$$;

-- Two calls, as in `try_members`.
create function try_array(
    nodes jsonb[], rules jsonb, value jsonb, steps bigint, depth integer
)
returns bigint language plpgsql immutable as $$
declare
    item jsonb;
    schema integer;
begin
    if not fits_count(jsonb_array_length(value), rules -> 'minItems', rules -> 'maxItems') then
        return -steps;
    end if;
    if rules -> 'uniqueItems' = 'true' then
        if has_equal_items(value) then
            return -steps;
        end if;
    end if;
    if rules ?| '{prefixItems,items}' then
        for item, schema in
            select of.value, of.schema
            from schemas_of_items(value, rules -> 'prefixItems', rules -> 'items') as of
            where not fits_plainly(of.value, nodes[of.schema])
        loop
            if jsonb_typeof(item) in ('array', 'object') then
                steps := try_value(nodes, nodes[schema], item, steps, depth);
            else
                steps := try_value(nodes, nodes[schema], item, steps, depth);
            end if;
            exit when steps < 0;
        end loop;
    end if;
    if steps > 0 and rules ? 'contains' then
        steps := try_contains(nodes, rules -> 'contains', value, steps, depth);
    end if;
    return steps;
end
$$;

-- How many of these schemas the value fits: from `fewest` to `most`, and no more are tried than
-- needed.
create function try_each(
    nodes jsonb[], schemas jsonb, fewest integer, most integer,
    value jsonb, steps bigint, depth integer
)
returns bigint language plpgsql immutable as $$
declare
    outcome bigint;
    others integer := jsonb_array_length(schemas);
    fitting integer := 0;
begin
    for place in 0 .. others - 1 loop
        outcome := try_value(
            nodes, nodes[(schemas -> place)::integer], value, steps, depth
        );
        steps := abs(outcome);
        fitting := fitting + (outcome > 0)::integer;
        others := others - 1;
        exit when fitting > most or fitting + others < fewest
            or (fitting >= fewest and most is null);
    end loop;
    return case when fitting < fewest or fitting > most then -steps else steps end;
end
$$;

create function try_combined(
    nodes jsonb[], rules jsonb, value jsonb, steps bigint, depth integer
)
returns bigint language plpgsql immutable as $$
declare
    outcome bigint;
begin
    if rules ? '$ref' then
        steps := try_value(nodes, nodes[(rules -> '$ref')::integer], value, steps, depth);
    end if;
    if steps > 0 and rules ? 'allOf' then
        steps := try_each(
            nodes, rules -> 'allOf', jsonb_array_length(rules -> 'allOf'), null, value, steps, depth
        );
    end if;
    if steps > 0 and rules ? 'anyOf' then
        steps := try_each(nodes, rules -> 'anyOf', 1, null, value, steps, depth);
    end if;
    if steps > 0 and rules ? 'oneOf' then
        steps := try_each(nodes, rules -> 'oneOf', 1, 1, value, steps, depth);
    end if;
    if steps > 0 and rules ? 'not' then
        steps := -try_value(nodes, nodes[(rules -> 'not')::integer], value, steps, depth);
    end if;
    if steps > 0 and rules ? 'if' then
        outcome := try_value(nodes, nodes[(rules -> 'if' -> 0)::integer], value, steps, depth);
        steps := try_value(
            nodes, nodes[(rules -> 'if' -> case when outcome > 0 then 1 else 2 end)::integer],
            value, abs(outcome), depth
        );
    end if;
    return steps;
end
$$;

create function is_among_values(kind text, value jsonb, rules jsonb) returns boolean
language plpgsql immutable as $$
begin
    if value <> rules -> 'const' then
        return false;
    elsif kind in ('array', 'object') then
        return not rules ? 'enum'
            or exists (select from items_of(rules -> 'enum') as one where one.value = $2);
    else
        return (rules -> 'enum' @> value) is not false;
    end if;
end
$$;

-- The steps after a value was held against a node: negative where it does not fit.
create function try_value(
    nodes jsonb[], node jsonb, value jsonb, steps bigint, depth integer
)
returns bigint language plpgsql immutable as $$
declare
    kind text := jsonb_typeof(value);
    rules jsonb := node -> kind;
begin
    if node is null then
        return steps + 1;
    end if;
    steps := steps + own_steps(kind, value, node, rules);
    if steps > most_steps() or depth > most_depth() then
        return greatest(steps, most_steps() + 1);
    end if;
    if not has_type(kind, value, node -> 'any' -> 'type') then
        return -steps;
    end if;
    if rules is null then
        null;
    elsif kind = 'string' then
        steps := case when fits_string(value #>> '{}', rules) then steps else -steps end;
    elsif kind = 'number' then
        steps := case when fits_number(value, rules) then steps else -steps end;
    elsif kind = 'array' then
        steps := try_array(nodes, rules, value, steps, depth + 1);
    else
        steps := try_object(nodes, rules, value, steps, depth + 1);
    end if;
    if steps > 0 and node -> 'any' ?| '{const,enum}' then
        if not is_among_values(kind, value, node -> 'any') then
            return -steps;
        end if;
    end if;
    if steps > 0 and node ? 'combined' then
        steps := try_combined(nodes, node -> 'combined', value, steps, depth + 1);
    end if;
    return steps;
end
$$;

create function shortened(value text) returns text language sql immutable
return case when length(value) > 200 then left(value, 199) || '…' else value end;

-- 'a string or null'
create function type_names(types jsonb) returns text language sql immutable
return (
    select string_agg(
        case
            when type.value ?| '{array,object,integer}' then 'an '
            when type.value <> '"null"' then 'a '
            else ''
        end || (type.value #>> '{}'),
        ' or ' order by type.place
    )
    from items_of(types) as type
);

-- Of names that an object must have, those that are missing, as JSON.
create function missing_names(value jsonb, names text[]) returns text language sql immutable
return (
    select string_agg(distinct to_json(wanted.name)::text, ', ')
    from unnest(names) as wanted (name) where not value ? wanted.name
);

-- What a keyword wants of a value, in plain words: nothing that the document says.
create function demand(keyword text, argument jsonb, value jsonb) returns text
language sql immutable
return format(
    case keyword
        when 'type' then case argument when '[]' then 'is not allowed' else 'must be %s' end
        when 'enum' then 'must be one of %s'
        when 'const' then 'must be %s'
        when 'minimum' then 'must be at least %s'
        when 'exclusiveMinimum' then 'must be more than %s'
        when 'maximum' then 'must be at most %s'
        when 'exclusiveMaximum' then 'must be less than %s'
        when 'multipleOf' then 'must be a multiple of %s'
        when 'minLength' then 'its length must be at least %s'
        when 'maxLength' then 'its length must be at most %s'
        when 'pattern' then 'must match the pattern %s'
        when 'minItems' then 'its number of items must be at least %s'
        when 'maxItems' then 'its number of items must be at most %s'
        when 'uniqueItems' then 'its items must differ from each other'
        when 'contains' then 'its number of items that fit "contains" must be %s'
        when 'minProperties' then 'its number of members must be at least %s'
        when 'maxProperties' then 'its number of members must be at most %s'
        when 'required' then 'must have %s'
        when 'dependentRequired' then 'must have %s, because of what else it has'
        when 'propertyNames' then 'the names of its members must fit "propertyNames"'
        when 'anyOf' then 'must fit at least one schema of "anyOf"'
        when 'oneOf' then 'must fit exactly one schema of "oneOf"'
        when 'not' then 'must not fit the schema of "not"'
    end,
    shortened(case keyword
        when 'type' then type_names(argument)
        when 'pattern' then argument ->> 'pattern'
        when 'contains' then
            'at least ' || (argument ->> 'fewest')
            || coalesce(' and at most ' || (argument ->> 'most'), '')
        when 'required' then missing_names(value, (argument #>> '{}')::text[])
        when 'dependentRequired' then missing_names(value, array(
            select wanted.name
            from jsonb_each_text(argument) as dependent,
                unnest(dependent.value::text[]) as wanted (name)
            where demand.value ? dependent.key
        ))
        else argument::text
    end)
);

-- The schemas that a value and what is in it have to fit, each with the pointer from the value on.
create function parts_of(node jsonb, value jsonb)
returns table (pointer text, value jsonb, schema integer) language sql immutable as $$
    select '', parts_of.value, (node -> 'combined' -> '$ref')::integer
    union all
    select '', parts_of.value, one.value::integer
    from items_of(node -> 'combined' -> 'allOf') as one
    union all
    select pointer_token(of.key), of.value, of.schema
    from schemas_by_pattern(
        case jsonb_typeof(parts_of.value) when 'object' then parts_of.value end,
        node -> 'object' -> 'properties', node -> 'object' -> 'patternProperties',
        node -> 'object' -> 'additionalProperties'
    ) as of
    union all
    select '', parts_of.value, dependent.value::integer
    from members_of(node -> 'object' -> 'dependentSchemas') as dependent
    where parts_of.value ? dependent.key and jsonb_typeof(parts_of.value) = 'object'
    union all
    select '/' || of.place, of.value, of.schema
    from schemas_of_items(
        case jsonb_typeof(parts_of.value) when 'array' then parts_of.value end,
        node -> 'array' -> 'prefixItems', node -> 'array' -> 'items'
    ) as of
$$;

-- The keywords of a node that say something of the value itself, each as a node of its own.
create function own_rules_of(node jsonb)
returns table (keyword text, argument jsonb, node jsonb) language sql immutable as $$
    select
        rule.key, rule.value,
        jsonb_build_object(kind.key, jsonb_build_object(rule.key, rule.value))
    from jsonb_each(own_rules_of.node - 'plain') as kind cross join jsonb_each(kind.value) as rule
    where rule.key not in (
        '$ref', 'allOf', 'properties', 'patternProperties', 'additionalProperties',
        'dependentSchemas', 'prefixItems', 'items'
    )
$$;

-- A value that does not fit a node, and where it is.
create type misfit as (pointer text, value jsonb, node jsonb);

-- The faults of a document that is known not to fit. Where to find them all would take too many
-- steps it tells those that it has found, or the place where it was.
create function faults_of_misfit(nodes jsonb[], document jsonb)
returns table (pointer text, detail text) language plpgsql immutable as $$
declare
    todo misfit[] := array[row('', document, nodes[1])::misfit];
    here misfit;
    inner_ones misfit[];
    part record;
    outcome bigint;
    steps bigint := 0;
    told integer := 0;
begin
    while todo <> '{}' and told < 20 and steps <= most_steps() loop
        here := todo[1];
        inner_ones := '{}';
        for part in select * from own_rules_of(here.node) loop
            outcome := try_value(nodes, part.node, here.value, steps, 0);
            steps := abs(outcome);
            continue when outcome > 0;
            if part.keyword = 'if' then
                outcome := try_value(
                    nodes, nodes[(part.argument -> 0)::integer], here.value, steps, 0
                );
                steps := abs(outcome);
                inner_ones := inner_ones || row(
                    here.pointer, here.value,
                    nodes[(part.argument -> case when outcome > 0 then 1 else 2 end)::integer]
                )::misfit;
            else
                pointer := here.pointer;
                detail := demand(part.keyword, part.argument, here.value);
                return next;
                told := told + 1;
            end if;
        end loop;
        for part in select * from parts_of(here.node, here.value) as of where of.schema > 0 loop
            outcome := try_value(nodes, nodes[part.schema], part.value, steps, 0);
            steps := abs(outcome);
            continue when outcome > 0;
            inner_ones := inner_ones || row(
                here.pointer || part.pointer, part.value, nodes[part.schema]
            )::misfit;
            exit when cardinality(inner_ones) = 20;
        end loop;
        todo := inner_ones || todo[2:];
    end loop;
    if told = 0 then
        pointer := here.pointer;
        detail := 'must fit the schema';
        return next;
    end if;
end
$$;

-- What is wrong with a document: at most 20 faults, with JSON Pointers into it; none where it fits.
-- SQLSTATE CS100 where the check would take too long.
create function document_faults(prepared jsonb, document jsonb)
returns table (pointer text, detail text)
language plpgsql immutable set search_path from current as $$
declare
    nodes jsonb[] := array(select jsonb_array_elements(prepared));
    steps bigint := try_value(nodes, nodes[1], document #> '{}', 0, 0);
begin
    if abs(steps) > most_steps() then
        raise sqlstate 'CS100' using message = 'the check takes too long';
    elsif steps < 0 then
        return query
            select told.pointer, told.detail
            from faults_of_misfit(nodes, document) with ordinality as told (pointer, detail, place)
            group by told.pointer, told.detail order by min(told.place);
    end if;
end
$$;
