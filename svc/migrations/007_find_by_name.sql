-- The configurations of a name, whatever their application: the pages of a list, in order.
create index configurations_name_id_idx on configurations (name, id);
