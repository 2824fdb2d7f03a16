-- A device that comes again under the same name begins its transactions anew.
CREATE TRIGGER transactions_end_with_their_device AFTER DELETE ON devices BEGIN
    DELETE FROM transactions WHERE user = OLD.user AND device = OLD.id;
END;
