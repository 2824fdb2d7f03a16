-- The transaction ids of a device are deleted with it: a new device may reuse its name.
CREATE TRIGGER delete_transactions_with_device AFTER DELETE ON devices BEGIN
    DELETE FROM transactions WHERE user = OLD.user AND device = OLD.id;
END;
