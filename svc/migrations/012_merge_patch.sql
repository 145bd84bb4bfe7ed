-- As before (RFC 7396), with the work of the patch's members, not of all that the target has.
create or replace function merge_patch(target jsonb, patch jsonb) returns jsonb
language plpgsql immutable as $$
begin
    if jsonb_typeof(patch) <> 'object' then
        return patch;
    end if;
    if target is null or jsonb_typeof(target) <> 'object' then
        target := '{}';
    end if;
    return (
        select
            (
                target
                || coalesce(jsonb_object_agg(member.key, case
                    when jsonb_typeof(member.value) <> 'object' then member.value
                    -- A call takes longer than to see that it would do no more than this.
                    when jsonb_typeof(target -> member.key) = 'object'
                        and not member.value @? '$.* ? (@ == null || @.type() == "object")'
                        then (target -> member.key) || member.value
                    else merge_patch(target -> member.key, member.value)
                end) filter (where jsonb_typeof(member.value) <> 'null'), '{}')
            ) - coalesce(
                array_agg(member.key) filter (where jsonb_typeof(member.value) = 'null'), '{}'
            )
        from jsonb_each(patch) as member
    );
end
$$;
